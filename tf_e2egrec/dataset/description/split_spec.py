"""`SplitSpec`: which impressions train, validate and test."""

import datetime
from typing import Literal, Self

from pydantic import model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel

Moment = datetime.datetime | datetime.date


class SplitSpec(StrictModel):
    """A split by moments (UTC), or by each user's own chronology.

    Attributes:
      by: `time` or `user_fraction`.
      labels_from: rows before it only feed the graph (a date or time with `by: time`, else a fraction of the
        user's rows).
      train_until, valid_until, test_until: exclusive ends. With `by: user_fraction` these are fractions of
        the user's rows, such as 0.8 and 0.9; `test_until` may be left out.
    """

    by: Literal["time", "user_fraction"]
    labels_from: Moment | float | None = None
    train_until: Moment | float
    valid_until: Moment | float
    test_until: Moment | float | None = None

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        bounds = {
            name: getattr(self, name) for name in ("labels_from", "train_until", "valid_until", "test_until")
        }
        present = {name: value for name, value in bounds.items() if value is not None}
        for name, value in present.items():
            if self.by == "time" and not isinstance(value, datetime.date):
                raise ValueError(
                    f"`{name}` must be a date or a time such as 2024-05-01 or 2024-05-01T06:00:00Z. Received: {value}"
                )
            if self.by == "user_fraction" and (isinstance(value, datetime.date) or not 0 <= value <= 1):
                raise ValueError(f"`{name}` must be a fraction between 0 and 1. Received: {value}")
        order = [moment_to_ms(value) for value in present.values()]
        if order != sorted(order) or len(set(order)) < len(order):
            raise ValueError(f"the bounds must increase: {', '.join(f'{n}={v}' for n, v in present.items())}")
        return self


def moment_to_ms(moment: Moment | float) -> float:
    """A date or time as milliseconds since the epoch (no zone means UTC); fractions pass through."""
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp() * 1000.0
    if isinstance(moment, datetime.date):
        return (
            datetime.datetime(moment.year, moment.month, moment.day, tzinfo=datetime.UTC).timestamp() * 1000.0
        )
    return float(moment)
