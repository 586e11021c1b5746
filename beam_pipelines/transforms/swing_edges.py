"""`SwingEdgeFiles`: Swing edges of every graph snapshot, by item shards.

Users' whole histories travel, once, to the shards that own one of their items; a shard then has all that the
scores of its items need, for every snapshot. Nothing is ever keyed by a user pair or an item pair. What a
shard computes does not depend on the number of shards.
"""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipelines.transforms.swing_shard import SwingShard, shard_of_items
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import GRAPH_ROW, EventBlock
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing_window import distinct_counts

COUNTER_NAMESPACE = "e2egrec"


class SwingEdgeFiles(beam.PTransform):
    """Write `snapshot=<id>/shard-<n>.parquet` under a directory, and give the paths written.

    Each file holds the edges into the shard's items, as `window_edges` gives them: `source`, `target` int64
    item keys, `weight` float32, optionally `normalised` float32, ordered by (target, -weight, source).
    Snapshots and shards without edges have no file. The footer's keys `newest_event_time` and
    `log_newest_time` hold the times of the newest event behind the edges, and of the newest event of the log.

    Input: (partition, packed `EventBlock` of whole users, sorted). Output: paths.

    Counters (namespace `e2egrec`):
      over the whole log: `events`, `positive_rows`, `rows_without_key`, `users_below_min`,
        `rows_of_users_below_min`, `shipped_rows` (rows times the shards they were sent to);
      of the output: `snapshot_files`, `edges`, `items` (with an edge in any snapshot);
      summed over the snapshots, what the caps took: `snapshot_users_below_min`, `snapshot_users_capped`,
        `snapshot_behaviours_capped`, `snapshot_items_capped`, `snapshot_anchor_users_capped`; and the work
        done: `pair_lookups`, `contributions`.
    """

    def __init__(self, description: DatasetDescription, directory: str, shards: int, threads: int) -> None:
        """Configure the transform.

        Args:
          description: names the positive behaviours, the snapshots and the caps.
          directory: local or mounted directory that every worker can write to.
          shards: number of item shards, at least 1.
          threads: threads per shard.
        """
        super().__init__()
        self._description = description
        self._directory = directory
        self._shards = shards
        self._threads = threads

    def expand(self, events: beam.PCollection[tuple[int, bytes]]) -> beam.PCollection[str]:
        """Events -> histories by item shard -> edge files."""
        computation = SwingShard(
            plan=SnapshotPlan.from_description(self._description),
            spec=self._description.graph.swing,
            seed=self._description.seed,
            shards=self._shards,
            directory=self._directory,
            threads=self._threads,
        )
        log_newest_time = (
            events
            | "BlockNewestTime" >> beam.ParDo(_BlockNewestTime())
            | "LogNewestTime" >> beam.CombineGlobally(_newest)
        )
        return (
            events
            | "PositiveHistories" >> beam.ParDo(_PositiveHistories(self._description, self._shards))
            | "ByItemShard" >> beam.GroupByKey()
            | "SnapshotEdges"
            >> beam.ParDo(_SnapshotEdges(computation), beam.pvalue.AsSingleton(log_newest_time))
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(int)
class _BlockNewestTime(beam.DoFn):
    """Time of the newest event of each block."""

    def process(self, element: tuple[int, bytes]) -> Iterator[int]:
        """The time, if there are events."""
        events = EventBlock.from_bytes(element[1])
        if len(events):
            yield int(events.time.max())


def _newest(times: Iterable[int]) -> int:
    return max(times, default=-FOREVER)


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(tuple[int, bytes])
class _PositiveHistories(beam.DoFn):
    """Events -> (shard, packed interactions): a user's whole positive history for each shard it touches."""

    def __init__(self, description: DatasetDescription, shards: int) -> None:
        names = description.behaviour_names
        self._positive = np.uint32(sum(1 << names.index(name) for name in set(description.graph.positive)))
        self._min_behaviours = description.graph.swing.min_behaviours
        self._shards = shards

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[int, bytes]]:
        """Keep positive rows of active users; one element per shard."""
        events = EventBlock.from_bytes(element[1])
        _count("events", len(events))
        is_positive = ((events.role & GRAPH_ROW) > 0) & ((events.behaviours & self._positive) > 0)
        has_key = (events.user != MISSING_KEY) & (events.item != MISSING_KEY)
        _count("rows_without_key", int((is_positive & ~has_key).sum()))
        kept = np.flatnonzero(is_positive & has_key)
        _count("positive_rows", len(kept))
        kept = self._of_active_users(events.user[kept], events.item[kept], kept)
        interactions = np.stack([events.user[kept], events.item[kept], events.time[kept]])
        shard_of = shard_of_items(interactions[1], self._shards)
        for shard, rows in rows_by_shard(interactions[0], shard_of, self._shards):
            _count("shipped_rows", len(rows))
            yield shard, pack_interactions(interactions[:, rows])

    def _of_active_users(self, user: np.ndarray, item: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Leave out users that have too few distinct items in the whole log, and so in every window."""
        offsets = _user_offsets(user)
        is_active = distinct_counts(offsets, item) >= self._min_behaviours
        _count("users_below_min", int((~is_active).sum()))
        active_row = np.repeat(is_active, np.diff(offsets))
        _count("rows_of_users_below_min", int((~active_row).sum()))
        return kept[active_row]


@beam.typehints.with_input_types(tuple[int, Iterable[bytes]], int)
@beam.typehints.with_output_types(str)
class _SnapshotEdges(beam.DoFn):
    """Compute and write the edges of one shard for every snapshot."""

    def __init__(self, computation: SwingShard) -> None:
        self._computation = computation

    def process(self, element: tuple[int, Iterable[bytes]], log_newest_time: int) -> Iterator[str]:
        """Give the path of each file written."""
        shard, pieces = element
        interactions = np.concatenate([unpack_interactions(piece) for piece in pieces], axis=1)
        for path, counters in self._computation.write_edges(shard, interactions, log_newest_time):
            for name, value in counters.items():
                _count(name, value)
            if path:
                yield path


def rows_by_shard(user: np.ndarray, shard: np.ndarray, shards: int) -> Iterator[tuple[int, np.ndarray]]:
    """The rows that each shard needs: all rows of the users that have a row of the shard.

    Args:
      user: int64 [n], rows of a user adjacent.
      shard: int64 [n], the shard that owns the row's item.
      shards: number of shards.

    Yields:
      (shard, int64 row numbers), shards without rows left out.
    """
    offsets = _user_offsets(user)
    lengths = np.diff(offsets)
    index = np.repeat(np.arange(len(lengths)), lengths)
    pairs = np.unique(shard * max(len(lengths), 1) + index)  # (shard, user), each once, by shard
    bounds = np.searchsorted(pairs, np.arange(shards + 1) * max(len(lengths), 1))
    for number in np.flatnonzero(np.diff(bounds)):
        users = pairs[bounds[number] : bounds[number + 1]] - number * len(lengths)
        counts = lengths[users]
        before = np.cumsum(counts) - counts
        yield int(number), np.repeat(offsets[users] - before, counts) + np.arange(counts.sum())


def pack_interactions(interactions: np.ndarray) -> bytes:
    """Bytes of int64 [3, n] (user, item, time)."""
    return np.ascontiguousarray(interactions, dtype="<i8").tobytes()


def unpack_interactions(packed: bytes) -> np.ndarray:
    """The inverse of `pack_interactions`; int64 [3, n], read-only."""
    return np.frombuffer(packed, dtype="<i8").reshape(3, -1)


def _user_offsets(user: np.ndarray) -> np.ndarray:
    """Where each user's rows begin, and the end; int64 [U + 1]."""
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
    return np.r_[starts, len(user)].astype(np.int64)


def _count(name: str, value: int) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
