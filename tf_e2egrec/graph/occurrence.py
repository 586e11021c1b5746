"""Telling equal log rows apart."""

import numpy as np


def occurrences(user: np.ndarray, time: np.ndarray, item: np.ndarray) -> np.ndarray:
    """How many rows of the same (user, time, item) stand directly before each row; int64 [n].

    Args:
      user: int64 [n]; equal rows are adjacent.
      time: int64 [n].
      item: int64 [n].
    """
    if len(user) == 0:
        return np.zeros(0, np.int64)
    index = np.arange(len(user))
    differs = (user[1:] != user[:-1]) | (time[1:] != time[:-1]) | (item[1:] != item[:-1])
    return index - np.maximum.accumulate(np.where(np.r_[True, differs], index, 0))
