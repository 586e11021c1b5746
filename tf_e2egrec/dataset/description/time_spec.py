"""`TimeSpec`: the time column and its unit."""

from typing import Literal

from tf_e2egrec.dataset.description.strict_model import StrictModel

TimeUnit = Literal["s", "ms", "us", "ns", "iso", "rank"]


class TimeSpec(StrictModel):
    """When a row happened.

    Attributes:
      column: the column.
      unit: `s`, `ms`, `us`, `ns` since the epoch (UTC), `iso` (ISO 8601 text or a timestamp column), or
        `rank`: only the order within each user is known (see docs/design.md, "Time").
    """

    column: str
    unit: TimeUnit
