"""What a retrieval request answers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class RetrievedItems:
    """Items for a user, best first. All arrays have the shape [N].

    Attributes:
      item_ids: int64, or str where the logs have text.
      score: float32: similarity to the recent items, or how often each item was met in training where none of them is known.
      version: version of the model that answered.
    """

    item_ids: np.ndarray
    score: np.ndarray
    version: int

    def __len__(self) -> int:
        return len(self.item_ids)
