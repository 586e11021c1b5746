"""`LoadPlan`: when a load test sends what."""

import dataclasses
import math
from typing import Literal

import numpy as np

from tf_e2egrec.errors import E2EGRecError

Arrivals = Literal["poisson", "uniform"]
MOST_REQUESTS = 10_000_000


@dataclasses.dataclass(frozen=True)
class LoadPlan:
    """Open-loop traffic: requests are sent at their time, however slowly others are answered, as users would.

    Attributes:
      rate: requests per second.
      seconds: how long requests are sent.
      connections: to the server; requests take turns.
      timeout: of one request, seconds; none is repeated.
      arrivals: `poisson`: independent users, with bursts; `uniform`: evenly spaced.
      seed: of Poisson arrivals.

    Raises:
      E2EGRecError: a number is not positive, or there are too many requests to remember.
    """

    rate: float
    seconds: float
    connections: int = 4
    timeout: float = 5.0
    arrivals: Arrivals = "poisson"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "connections", "timeout"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise E2EGRecError(f"a load test needs a positive {name}, got {value:g}")
        if self.rate * self.seconds > MOST_REQUESTS:
            raise E2EGRecError(
                f"{self.rate:g} requests a second for {self.seconds:g} s are more than {MOST_REQUESTS:,}; lower one of them"
            )

    def send_times(self) -> np.ndarray:
        """When each request is sent, seconds after the start; float64 [n], ascending, below `seconds`.

        There are `rate * seconds` of them, at least one, whatever the arrivals: a Poisson process whose number is given is
        as many independent uniform times.
        """
        number = max(1, round(self.rate * self.seconds))
        if self.arrivals == "uniform":
            return np.arange(number) * (self.seconds / number)
        return np.sort(np.random.default_rng(self.seed).uniform(0, self.seconds, number))
