"""`StaySpec`: how long a user stayed with an item."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel

DurationUnit = Literal["s", "ms", "us", "min", "h", "d"]
SECONDS_PER_UNIT: dict[str, float] = {
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}


class StaySpec(StrictModel):
    """The stay-duration label: a column, or the gap to the user's next event of the same session.

    Attributes:
      column, unit: the column and its unit.
      gap_to_next: derive the label as the time to the next event of the same user and `session`; the last
        event has none.
      session: the session column (only with `gap_to_next`; without it any next event of the user counts).
      drop_exactly: seconds; gaps of exactly this length are artefacts of the logging and become missing.
      maximum: seconds; longer stays are cut to it.
      content_duration, content_unit: optional column with the item's own length.
    """

    column: str | None = None
    unit: DurationUnit = "s"
    gap_to_next: bool = False
    session: str | None = None
    drop_exactly: float | None = None
    maximum: float = Field(default=3600.0, gt=0)
    content_duration: str | None = None
    content_unit: DurationUnit = "s"

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.gap_to_next == (self.column is not None):
            raise ValueError("`stay` needs either `column` or `gap_to_next: true`")
        return self
