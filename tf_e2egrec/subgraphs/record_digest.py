"""`RecordDigest`: a hash of everything that a file of records is made from."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock

MODULUS = 1 << 63  # digests are sums modulo this: non-negative, and as wide as an int64

_SEED = 0x7265636F  # digests do not change with the description's seed


@dataclasses.dataclass(frozen=True)
class RecordDigest:
    """Sums up impressions, each with its features, its recent items and what the snapshot that serves it was built from.

    The digest of a file is the sum of those of its parts modulo `MODULUS`, in any order. Under one description, equal digests mean
    equal files.

    Attributes:
      plan: of the snapshots.
      snapshots: int64 [s] sorted ids of the snapshots that see a row.
      windows: int64 [s] digests of their windows.
    """

    plan: SnapshotPlan
    snapshots: np.ndarray
    windows: np.ndarray

    @staticmethod
    def from_windows(plan: SnapshotPlan, windows: Mapping[int, str]) -> "RecordDigest":
        """From `WindowDigests.by_snapshot` of the graph's log."""
        snapshots = sorted(windows)
        digests = np.array([int(windows[snapshot], 16) for snapshot in snapshots], np.uint64)
        return RecordDigest(plan, np.array(snapshots, np.int64), digests.view(np.int64))

    def of(self, block: ImpressionBlock) -> int:
        """The digest of n impressions, in [0, MODULUS)."""
        names = ("user", "item", "time", "impression_id", "reward", "stay", "content_duration")
        columns = [getattr(block, name) for name in names]
        columns += [block.context[name] for name in sorted(block.context)]
        columns += [_of_histories(block)[block.history], self._of_windows(block.time)]
        hashes = hash_keys(_SEED, *(_as_keys(column) for column in columns))
        return int(hashes.sum(dtype=np.uint64)) % MODULUS

    def _of_windows(self, time: np.ndarray) -> np.ndarray:
        """Digest of the window that each moment's snapshot sees, 0 where it sees nothing; int64 [n]."""
        serving = self.plan.snapshot_at(time)
        if len(self.snapshots) == 0:
            return np.zeros(len(serving), np.int64)
        row = np.minimum(np.searchsorted(self.snapshots, serving), len(self.snapshots) - 1)
        return np.where(self.snapshots[row] == serving, self.windows[row], 0)


def _of_histories(block: ImpressionBlock) -> np.ndarray:
    """A hash of each history, in which the position of an item counts; uint64 [h]."""
    counts = np.diff(block.history_indptr)
    position = np.arange(len(block.recent)) - np.repeat(block.history_indptr[:-1], counts)
    terms = hash_keys(_SEED, position, block.recent, _as_keys(block.age))
    before = np.r_[np.uint64(0), np.cumsum(terms, dtype=np.uint64)]
    return before[block.history_indptr[1:]] - before[block.history_indptr[:-1]]


def _as_keys(values: np.ndarray) -> np.ndarray:
    """The bits of float32 or uint64 values as int64; keys stay as they are."""
    if values.dtype == np.float32:
        return values.view(np.int32).astype(np.int64)
    return values.view(np.int64)
