"""`BehaviourSpec`: when a behaviour happened in a row."""

from typing import Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel


class BehaviourSpec(StrictModel):
    """A behaviour is read from one column, or is true of every row.

    Attributes:
      column: the column; without a further key the behaviour happened where it is non-zero (or true).
      at_least: the behaviour happened where the number is at least this.
      in_: the behaviour happened where the value is one of these (YAML key `in`).
      always: every row is one (logs that hold only positives).
    """

    column: str | None = None
    at_least: float | None = None
    in_: list[str | int | float | bool] | None = Field(default=None, alias="in", min_length=1)
    always: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.always == (self.column is not None):
            raise ValueError("a behaviour needs either `column` or `always: true`")
        if self.at_least is not None and self.in_ is not None:
            raise ValueError("a behaviour has `at_least` or `in`, not both")
        return self
