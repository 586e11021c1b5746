"""`RankerSpec`: which rows train the ranker, and what it is told about them."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.negative_spec import NegativeSpec
from tf_e2egrec.dataset.description.row_filter import RowFilter
from tf_e2egrec.dataset.description.strict_model import StrictModel

DerivedFeature = Literal["hour_of_day", "day_of_week", "item_age", "recent_count"]


class RankerSpec(StrictModel):
    """The ranker's side of the data.

    Attributes:
      reward: the behaviour that is the reward label.
      rows: filters; all must hold.
      negatives: the sampler for logs of positives; absent where the log holds exposures.
      derived: features computed by the pipeline: `hour_of_day`, `day_of_week` (UTC), `item_age` (log1p of
        hours since the item first appeared in the log), `recent_count` (log1p of the number of recent items).
    """

    reward: str
    rows: list[RowFilter] = []
    negatives: NegativeSpec | None = None
    derived: list[DerivedFeature] = Field(default=[])
