"""`WindowDigests`: what the snapshots see of the log, as hashes that tell whether it has changed."""

import dataclasses
import io
from collections.abc import Iterable, Mapping

import numpy as np

from tf_e2egrec.dataset.events import GRAPH_ROW, EventBlock
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.graph.snapshots import SnapshotPlan

_COLUMNS = ("first", "last", "rows", "digest")
_SPARSE = 8  # empty slots per row from which on sorting costs less than room for all slots
_SEED = 0x77696E64  # digests do not change with the description's seed


@dataclasses.dataclass(frozen=True)
class WindowDigests:
    """Rows of the graph, summed up by the snapshots that see them.

    All rows seen by the same snapshots share an entry; its digest is the sum of their hashes modulo 2^64, so neither the order of
    rows nor the way they are divided matters, and digests of windows are sums of entries.

    Attributes:
      first, last: int64 [n] the first and the last snapshot that sees the entry's rows; `last` may lie beyond the data.
      rows: int64 [n] how many rows these are.
      digest: uint64 [n].
      newest_time: of all rows, whatever they are used for; `-FOREVER` without rows.
    """

    first: np.ndarray
    last: np.ndarray
    rows: np.ndarray
    digest: np.ndarray
    newest_time: int

    @staticmethod
    def of_events(events: EventBlock, plan: SnapshotPlan) -> "WindowDigests":
        """Sum up rows; those of the graph enter with user, item, time and behaviours."""
        first, last = seen_by(plan, events.time)
        kept = np.flatnonzero(((events.role & GRAPH_ROW) > 0) & (first <= last))
        hashes = hash_keys(
            _SEED, events.user[kept], events.item[kept], events.time[kept], events.behaviours[kept]
        )
        newest = int(events.time.max()) if len(events) else -FOREVER
        return _reduce(first[kept], last[kept], np.ones(len(kept), np.int64), hashes, newest)

    @staticmethod
    def merged(parts: Iterable["WindowDigests"]) -> "WindowDigests":
        """The digests of the rows of all parts; there may be none."""
        none = np.zeros(0, np.int64)
        parts = [WindowDigests(none, none, none, np.zeros(0, np.uint64), -FOREVER), *parts]
        first, last, rows, digest = (
            np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        )
        return _reduce(first, last, rows, digest, max(part.newest_time for part in parts))

    def by_snapshot(self, plan: SnapshotPlan) -> dict[int, str]:
        """Digest (16 hex digits) of the window of every snapshot that sees a row, up to the one that serves the moment after the log."""
        if not len(self.first):
            return {}
        begin, end = int(self.first.min()), plan.latest(self.newest_time) + 1
        if end <= begin:
            return {}
        enters, leaves = np.minimum(self.first, end) - begin, np.minimum(self.last + 1, end) - begin
        rows, digest = np.zeros(end - begin + 1, np.int64), np.zeros(end - begin + 1, np.uint64)
        for total, values in ((rows, self.rows), (digest, self.digest)):
            np.add.at(total, enters, values)
            np.subtract.at(total, leaves, values)
        rows, digest = np.cumsum(rows), np.cumsum(digest, dtype=np.uint64)
        return {begin + int(i): f"{int(digest[i]):016x}" for i in np.flatnonzero(rows[:-1])}

    def to_bytes(self) -> bytes:
        """Pack for a shuffle; `from_bytes` is the inverse."""
        buffer = io.BytesIO()
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        np.savez(buffer, **columns)
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "WindowDigests":
        """Unpack what `to_bytes` wrote."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            first, last, rows, digest = (arrays[name] for name in _COLUMNS)
            return WindowDigests(first, last, rows, digest, int(arrays["newest_time"]))


def seen_by(plan: SnapshotPlan, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`SnapshotPlan.snapshots_seeing` of many moments: first and last snapshot, int64 [n] each; first > last where there is none."""
    time = np.asarray(time, np.int64)
    if plan.is_single:
        start, end = plan.window_of(0)
        return np.zeros(len(time), np.int64), np.where((start <= time) & (time < end), 0, -1)
    first = np.maximum((time - plan.origin) // plan.refresh + 1, 0)
    if plan.window >= FOREVER:
        return first, np.full(len(time), FOREVER)
    return first, (time - plan.origin + plan.window) // plan.refresh


def changed_snapshots(digests: Mapping[int, str], known: Mapping[int, str]) -> list[int]:
    """The snapshots whose window does not hold what it held, in order.

    Args:
      digests: of the log as it is, see `by_snapshot`.
      known: of the log as it was.
    """
    return sorted(snapshot for snapshot, digest in digests.items() if known.get(snapshot) != digest)


def _reduce(
    first: np.ndarray, last: np.ndarray, rows: np.ndarray, digest: np.ndarray, newest: int
) -> WindowDigests:
    if not len(first):
        return WindowDigests(first, last, rows, digest, newest)
    # Both grow with the rows' time, so that their sum tells the pairs apart.
    slot = (first - first.min()) + (last - last.min())
    if slot.max() > _SPARSE * len(slot):
        slot = np.unique(slot, return_inverse=True)[1]
    entries = np.zeros((3, int(slot.max()) + 1), np.int64)
    sums = np.zeros(entries.shape[1], np.uint64)
    entries[0, slot], entries[1, slot] = first, last
    np.add.at(entries[2], slot, rows)
    np.add.at(sums, slot, digest)
    used = entries[2] > 0
    first, last, rows = entries[:, used]
    return WindowDigests(first, last, rows, sums[used], newest)
