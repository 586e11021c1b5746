"""`SwingSpec`: parameters and caps of the Swing score."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel

_PRESETS = {"pai": (5.0, 1.0, 0.3), "paper": (0.0, 1.0, 0.5), "seed": (0.0, 1.0, 0.0)}


class SwingSpec(StrictModel):
    """Swing (arXiv 2010.05525) with presets and caps.

    Example:
      >>> SwingSpec(preset="paper", top=50).top
      50

    Attributes:
      preset: `pai` (alpha1=5, alpha2=1, beta=0.3), `paper` (0, 1, 0.5) or `seed` (beta=0, alpha2=1).
      alpha1, alpha2, beta: override the preset's values.
      top: neighbours kept per item, ties broken by item key.
      min_behaviours, max_behaviours: a user below the minimum is dropped, one above the maximum keeps the
        most recent items.
      max_users_per_item: anchor cap; a seeded uniform sample of the users of a hotter item.
      normalise: also divide each item's scores by their maximum.
    """

    preset: Literal["pai", "paper", "seed"] = "pai"
    alpha1: float | None = Field(default=None, ge=0)
    alpha2: float | None = Field(default=None, ge=0)
    beta: float | None = Field(default=None)
    top: int = Field(default=200, ge=1)
    min_behaviours: int = Field(default=3, ge=1)
    max_behaviours: int = Field(default=500, ge=2)
    max_users_per_item: int = Field(default=600, ge=2)
    normalise: bool = False

    @model_validator(mode="after")
    def _beta_is_not_negative(self) -> Self:
        if self.beta is not None and self.beta < 0:
            raise ValueError(
                f"`beta` is {self.beta}: a negative beta would weigh very active users up; use 0 or more"
            )
        if self.min_behaviours > self.max_behaviours:
            raise ValueError(
                f"`min_behaviours` ({self.min_behaviours}) is larger than `max_behaviours` ({self.max_behaviours})"
            )
        return self

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(alpha1, alpha2, beta) after the overrides."""
        preset = _PRESETS[self.preset]
        chosen = (self.alpha1, self.alpha2, self.beta)
        return tuple(p if c is None else c for p, c in zip(preset, chosen, strict=True))  # type: ignore[return-value]
