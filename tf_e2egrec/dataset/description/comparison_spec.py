"""`ComparisonSpec`: what `e2egrec compare` compares where its options do not say."""

from typing import Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel

TUNED_PARTS = ("training", "model")
Setting = str | int | float | bool | list[int | float]


class ComparisonSpec(StrictModel):
    """Models and their tuning; no stage's output depends on it.

    Example:
      >>> ComparisonSpec(tuning={"training.learning_rate": [1e-3, 3e-3]}).models
      []

    Attributes:
      models: what `e2egrec compare` compares without `--models`: `R5`, or `R5@KEY=VALUE+KEY=VALUE` with keys such as
        `graph.sampling.fanout` or `training.ssl_weight`; a usual choice when empty.
      tuning: keys of `training` and `model`, such as `training.learning_rate`, and the values that every model tries. The
        validation split alone chooses.
    """

    models: list[str] = []
    tuning: dict[str, list[Setting]] = Field(default={})

    @model_validator(mode="after")
    def _tunes_what_is_trained(self) -> Self:
        for key, values in self.tuning.items():
            require_tunable(key)
            if not values:
                raise ValueError(f"`comparison.tuning` gives `{key}` no value to try")
        return self


def require_tunable(key: str) -> None:
    """Refuse to tune what is not the training's or the model's.

    Raises:
      ValueError: the key is of another part of the description.
    """
    part, _, rest = key.partition(".")
    if part not in TUNED_PARTS or not rest:
        raise ValueError(
            f"`{key}` cannot be tuned: only keys of {' and '.join(f'`{one}`' for one in TUNED_PARTS)} can, such as "
            "`training.learning_rate`; a graph of its own has a model such as R5@graph.sampling.fanout=5"
        )
