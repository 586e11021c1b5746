"""`PriorEvents`: how many events of a key came before a moment, and when its first one did."""

import numpy as np

from tf_e2egrec.dataset.time_axis import FOREVER


class PriorEvents:
    """Sorts m events once, so that n questions cost O(n log m).

    Args:
      key: int64 [m], such as the item or the user of each event.
      time: int64 [m].

    Example:
      >>> events = PriorEvents(np.array([7, 8, 7]), np.array([10, 20, 30]))
      >>> events.count(np.array([7, 7, 8, 9]), np.array([30, 31, 20, 99])).tolist()
      [1, 2, 0, 0]
    """

    def __init__(self, key: np.ndarray, time: np.ndarray) -> None:
        self._keys, code = np.unique(key, return_inverse=True)
        self._times, rank = np.unique(time, return_inverse=True)
        # One sorted number per event, (key, time) in order: at most m * (m + 1), whatever the times are.
        self._stride = len(self._times) + 1
        self._events = np.sort(code.astype(np.int64) * self._stride + rank)
        self._start = np.searchsorted(self._events, np.arange(len(self._keys)) * self._stride)

    def count(self, key: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Events of each key strictly before each time; int64 [n].

        Args:
          key: int64 [n]; a key without events has 0.
          time: int64 [n].
        """
        code, known = self._codes(key)
        if not len(self._keys):
            return np.zeros(len(code), np.int64)
        wanted = code * self._stride + np.searchsorted(self._times, time)
        return np.where(known, np.searchsorted(self._events, wanted) - self._start[code], 0)

    def first(self, key: np.ndarray) -> np.ndarray:
        """Time of the first event of each key, `FOREVER` without events; int64 [n]."""
        code, known = self._codes(key)
        if not len(self._keys):
            return np.full(len(code), FOREVER, np.int64)
        return np.where(known, self._times[self._events[self._start[code]] % self._stride], FOREVER)

    def _codes(self, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position of each key among the known ones, and whether it is one of them."""
        key = np.asarray(key, np.int64)
        if not len(self._keys):
            return np.zeros(len(key), np.int64), np.zeros(len(key), bool)
        code = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return code, self._keys[code] == key
