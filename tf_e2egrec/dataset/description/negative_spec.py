"""`NegativeSpec`: sampled negatives for logs that hold only positives."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class NegativeSpec(StrictModel):
    """Negatives are drawn from the events of a trailing window, never an item the user has engaged with.

    Attributes:
      sampler: `popularity` (an event of the window at random: popular items more often) or `uniform` (a
        distinct item of the window).
      per_positive: negatives per positive.
      window: how far back the window reaches (`6h`, `2d`, `all`; a fraction for `unit: rank`).
      every: the pool is renewed this often; the window ends strictly before the renewal.
      pool_size: events (or items) kept per pool.
    """

    sampler: Literal["popularity", "uniform"] = "popularity"
    per_positive: int = Field(default=4, ge=1, le=1000)
    window: str | float = "1d"
    every: str | float = "1h"
    pool_size: int = Field(default=5000, ge=10)
