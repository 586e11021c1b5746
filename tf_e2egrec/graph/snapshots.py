"""`SnapshotPlan`: which graph snapshot serves which moment, and which events it may see."""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.split import labels_begin
from tf_e2egrec.dataset.time_axis import FOREVER, parse_duration


@dataclasses.dataclass(frozen=True)
class SnapshotPlan:
    """Snapshots at `origin + id * refresh`, each built from the events of `[valid_from - window,
    valid_from)`.

    Attributes:
      origin: the moment snapshot 0 becomes valid; int, `EventBlock.time` units.
      refresh: time between snapshots; `FOREVER` means that there is only snapshot 0 (`refresh: once`).
      window: how far back a snapshot sees.
    """

    origin: int
    refresh: int
    window: int

    @staticmethod
    def from_description(description: DatasetDescription) -> "SnapshotPlan":
        """The plan that `graph.snapshots` describes."""
        spec, is_rank = description.graph.snapshots, description.time_is_rank
        window = parse_duration(spec.window, "graph.snapshots.window", is_rank)
        if spec.refresh == "once":
            return SnapshotPlan(origin=labels_begin(description), refresh=FOREVER, window=window)
        return SnapshotPlan(
            origin=0, refresh=parse_duration(spec.refresh, "graph.snapshots.refresh", is_rank), window=window
        )

    @property
    def is_single(self) -> bool:
        """Whether there is one snapshot for all time."""
        return self.refresh == FOREVER

    def snapshot_at(self, time: np.ndarray) -> np.ndarray:
        """Id of the snapshot that serves an event at `time`: the latest with `valid_from <= time`; int64, -1
        where there is none yet.
        """
        time = np.asarray(time, dtype=np.int64)
        return (
            np.maximum((time - self.origin) // self.refresh, -1)
            if not self.is_single
            else np.where(time >= self.origin, 0, -1)
        )

    def valid_from(self, snapshot: int) -> int:
        """The moment a snapshot becomes valid."""
        return self.origin + snapshot * self.refresh if not self.is_single else self.origin

    def window_of(self, snapshot: int) -> tuple[int, int]:
        """[start, end) of the events a snapshot may see."""
        end = self.valid_from(snapshot)
        return end - self.window, end

    def snapshots_seeing(self, time: int) -> tuple[int, int]:
        """[first, last] ids of the snapshots whose window contains an event at `time` (`last` may lie beyond
        the data).
        """
        if self.is_single:
            start, end = self.window_of(0)
            return (0, 0) if start <= time < end else (0, -1)
        first = (time - self.origin) // self.refresh + 1
        last = FOREVER if self.window >= FOREVER else (time - self.origin + self.window) // self.refresh
        return max(int(first), 0), int(last)

    def latest(self, newest_time: int) -> int:
        """The snapshot that may see everything up to `newest_time`: the one that serving uses after the data
        ends.
        """
        return 0 if self.is_single else int((newest_time - self.origin) // self.refresh) + 1
