"""`NodeStatistics`: what the logs say about items or users."""

import dataclasses
import io
from collections.abc import Iterable

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import RANKER_ROW, EventBlock
from tf_e2egrec.dataset.split import SPLITS, split_codes, training_ends


@dataclasses.dataclass(frozen=True)
class NodeStatistics:
    """One row per item or user that the logs mention.

    Attributes:
      key: int64 [n] sorted.
      first_seen: int64 [n] time of the earliest row, whatever its role.
      train_count: int64 [n] rows of the training period.
    """

    key: np.ndarray
    first_seen: np.ndarray
    train_count: np.ndarray

    @staticmethod
    def of_rows(key: np.ndarray, time: np.ndarray, is_training: np.ndarray) -> "NodeStatistics":
        """Statistics of n rows.

        Args:
          key: int64 [n] the row's item or user.
          time: int64 [n].
          is_training: bool [n].
        """
        return _reduce(key, time, is_training.astype(np.int64))

    @staticmethod
    def merged(parts: Iterable["NodeStatistics"]) -> "NodeStatistics":
        """Statistics of the rows of all parts."""
        parts = list(parts)
        return _reduce(
            np.concatenate([part.key for part in parts]),
            np.concatenate([part.first_seen for part in parts]),
            np.concatenate([part.train_count for part in parts]),
        )

    def to_bytes(self) -> bytes:
        """Pack for a shuffle."""
        buffer = io.BytesIO()
        np.save(buffer, np.stack([self.key, self.first_seen, self.train_count]))
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "NodeStatistics":
        """Unpack what `to_bytes` wrote."""
        return NodeStatistics(*np.load(io.BytesIO(packed), allow_pickle=False))


def training_rows(events: EventBlock, description: DatasetDescription) -> np.ndarray:
    """Which rows belong to the training period; bool [n].

    Those before `training_ends`; where there is no such moment (each user's real-time history is cut by itself), the rows of the train
    split and those that only feed the graph.
    """
    end = training_ends(description)
    if np.isfinite(end):
        return events.time < end
    return ((events.role & RANKER_ROW) == 0) | (split_codes(events, description) == SPLITS.index("train"))


def _reduce(key: np.ndarray, time: np.ndarray, count: np.ndarray) -> NodeStatistics:
    if len(key) == 0:
        return NodeStatistics(*np.zeros((3, 0), np.int64))
    order = np.argsort(key, kind="stable")
    key, time, count = key[order], time[order], count[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    return NodeStatistics(key[first], np.minimum.reduceat(time, first), np.add.reduceat(count, first))
