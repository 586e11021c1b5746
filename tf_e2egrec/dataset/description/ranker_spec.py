"""`RankerSpec`: which rows train the ranker, and what it is told about them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.negative_spec import NegativeSpec
from tf_e2egrec.dataset.description.row_filter import RowFilter
from tf_e2egrec.dataset.description.strict_model import StrictModel

DerivedFeature = Literal[
    "hour_of_day", "day_of_week", "item_age", "recent_count", "reward_rate", "recent_reward_rate"
]
# How many of the user's earlier impressions count. A request does not show them: it has to say the rate.
REWARD_RATES: dict[str, int | None] = {"reward_rate": None, "recent_reward_rate": 10}


class RankerSpec(StrictModel):
    """The ranker's side of the data.

    Attributes:
      reward: the behaviour that is the reward label.
      rows: filters; all must hold.
      negatives: the sampler for logs of positives; absent where the log holds exposures.
      derived: features computed by the pipeline: `hour_of_day`, `day_of_week` (UTC), `item_age` (log1p of
        hours since the item first appeared in the log), `recent_count` (log1p of the number of recent items),
        `reward_rate` and `recent_reward_rate` ((rewards + 1) / (impressions + 2) of the user's earlier impressions, or
        of the 10 latest of them; a request gives these two itself).
    """

    reward: str
    rows: list[RowFilter] = []
    negatives: NegativeSpec | None = None
    derived: list[DerivedFeature] = Field(default=[])

    @model_validator(mode="after")
    def _rates_need_exposures(self) -> Self:
        rates = [name for name in self.derived if name in REWARD_RATES]
        if self.negatives and rates:
            raise ValueError(
                f"`derived: {rates[0]}` needs a log of exposures; with `negatives` every logged row has the reward"
            )
        return self

    @property
    def computed_from_request(self) -> list[str]:
        """The derived features that follow from a request's time, candidates and recent items."""
        return [name for name in self.derived if name not in REWARD_RATES]
