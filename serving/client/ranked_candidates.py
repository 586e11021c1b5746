"""What a ranking request answers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class RankedCandidates:
    """The candidates of one request, best first. All arrays have the shape [C].

    Attributes:
      item_ids: the candidates' ids as they were given, int64 or str.
      reward: float32, predicted probability of the reward (click, long view, ...).
      stay_seconds: float32, predicted stay duration, seconds.
      score: float32, what the list is sorted by, descending; equal scores keep the caller's order.
      version: version of the model that answered.
    """

    item_ids: np.ndarray
    reward: np.ndarray
    stay_seconds: np.ndarray
    score: np.ndarray
    version: int

    def __len__(self) -> int:
        return len(self.item_ids)
