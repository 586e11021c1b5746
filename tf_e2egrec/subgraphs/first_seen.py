"""`FirstSeen`: when each item first appeared in the logs."""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.time_axis import FOREVER


@dataclasses.dataclass(frozen=True)
class FirstSeen:
    """First events by item.

    Attributes:
      item: int64 [n] sorted keys.
      time: int64 [n] of the item's first event in any log, whatever its role.
    """

    item: np.ndarray
    time: np.ndarray

    def of(self, item: np.ndarray) -> np.ndarray:
        """Time of the first event of each item, `FOREVER` for items without events; int64 [m]."""
        if len(self.item) == 0:
            return np.full(len(item), FOREVER, np.int64)
        row = np.minimum(np.searchsorted(self.item, item), len(self.item) - 1)
        return np.where(self.item[row] == item, self.time[row], FOREVER)
