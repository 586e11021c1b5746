"""`RowFilter`: which rows of a log take part."""

from typing import Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel


class RowFilter(StrictModel):
    """One condition on a row; a list of filters means that all hold. Exactly one form is used.

    Attributes:
      column, in_: the column's value is one of the listed ones (YAML key `in`).
      users_share: keep this share of the users, chosen by a hash of the user and the description's seed.
      items_share: the same for items.
      domain: keep rows of this item domain.
    """

    column: str | None = None
    in_: list[str | int | float | bool] | None = Field(default=None, alias="in", min_length=1)
    users_share: float | None = Field(default=None, gt=0, le=1)
    items_share: float | None = Field(default=None, gt=0, le=1)
    domain: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [
            self.column is not None,
            self.users_share is not None,
            self.items_share is not None,
            self.domain is not None,
        ]
        if sum(forms) != 1:
            raise ValueError(
                "a row filter has exactly one of the forms {column, in}, {users_share}, {items_share}, {domain}"
            )
        if (self.column is None) != (self.in_ is None):
            raise ValueError("a row filter on a column needs both `column` and `in`")
        return self
