"""`WindowHistories`: what the Swing kernel knows of the users inside one time window."""

from typing import NamedTuple

import numpy as np


class WindowHistories(NamedTuple):
    """Users in the order of their keys, each with its distinct items after the caps.

    A named tuple, because compiled code can read it.

    Attributes:
      pointers: int64 [U + 1]; entries of user u are `pointers[u]:pointers[u + 1]`.
      items: int32 [m] item of each entry, each once per user; item numbers are in the order of the item keys.
      weights: float64 [U], w_u.
      newest: int64 [U] time of each user's newest entry.
      inverse: float64 [longest history + 1], 1 / (alpha2 + overlap) by overlap; entry 0 is never read.
    """

    pointers: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    newest: np.ndarray
    inverse: np.ndarray
