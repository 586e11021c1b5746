"""`SwingEdgeFiles`: Swing edges of every graph snapshot, by item shards.

Users' whole histories travel, once, to the shards that own one of their items; a shard then has all that the
scores of its items need, for every snapshot. Users who are certain to lose against the anchor cap of a hot
item (see `SwingAnchorFilter`) do not travel on its account, so that no shard gets more than its share.
Nothing is ever keyed by a user pair or an item pair. What a shard computes does not depend on the number of
shards.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipelines.progress import advance
from beam_pipelines.transforms.swing_shard import SwingShard, shard_of_items
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import GRAPH_ROW, EventBlock
from tf_e2egrec.dataset.ids import MISSING_KEY, hash_keys
from tf_e2egrec.dataset.narrow_column import pack_narrow, unpack_narrow
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing_anchor_filter import SwingAnchorFilter
from tf_e2egrec.graph.swing_histories import NEVER, SwingHistories
from tf_e2egrec.graph.swing_share import SwingShare, shares_of_shards
from tf_e2egrec.graph.window_digests import WindowDigests, changed_snapshots, seen_by

COUNTER_NAMESPACE = "e2egrec"
_DRAWS = "draws"
_MOST_THRESHOLD_GROUPS = 64


class SwingEdgeFiles(beam.PTransform):
    """Write `snapshot=<id>/shard-<n>.parquet` under a directory, and give the paths written.

    Each file holds the edges into the shard's items, as `window_edges` gives them: `source`, `target` int64
    item keys, `weight` float32, optionally `normalised` float32, ordered by (target, -weight, source).
    Snapshots and shards without edges have no file. The footer's key `newest_event_time` holds the time of
    the newest event behind the edges. A file depends on the rows in its window alone.

    Input: (partition, packed `EventBlock` of whole users, sorted). Output: paths.

    Counters (namespace `e2egrec`):
      over the whole log: `events`, `positive_rows`, `rows_without_key`, `repeated_rows` (the same user, item
        and time again), `users_below_min`, `rows_of_users_below_min`, `anchor_thresholds` (hot pairs of item
        and slot), `anchor_rows_left_out` (rows whose user is certain to lose against the item's anchor cap;
        they travel only with the user's other items), `shipped_rows`, `shipped_users` and `shipped_bytes` (to
        each shard they are sent to);
      of the output: `snapshot_files`, `edges`, `items` (with an edge in any snapshot);
      summed over the snapshots, what the caps took: `snapshot_users_below_min`, `snapshot_users_capped`,
        `snapshot_behaviours_capped`, `snapshot_items_capped`, `snapshot_anchor_users_capped` (among the
        users that were sent to the item's shard); and the work done: `pair_lookups`, `contributions`.
    """

    def __init__(
        self,
        description: DatasetDescription,
        directory: str,
        shards: int,
        threads: int,
        digests: beam.PCollection[bytes],
        known: Mapping[int, str] | None = None,
        partitions: int = 1,
    ) -> None:
        """Configure the transform.

        Args:
          description: names the positive behaviours, the snapshots and the caps.
          directory: local or mounted directory that every worker can write to.
          shards: number of item shards, at least 1.
          threads: threads per shard.
          digests: one packed `WindowDigests` of the log; says which snapshots there are.
          known: digests of windows whose edges need not be computed again.
          partitions: into how many groups `EventsByUser` divides the users.
        """
        super().__init__()
        self._description = description
        self._directory = directory
        self._shards = shards
        self._threads = threads
        self._digests = digests
        self._known = dict(known or {})
        self._partitions = partitions

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
        wanted = beam.pvalue.AsSingleton(
            self._digests | "ChangedSnapshots" >> beam.Map(_changed, computation.plan, self._known)
        )
        histories = events | "PositiveHistories" >> beam.ParDo(
            _PositiveHistories(self._description, self._partitions)
        ).with_outputs(_DRAWS, main="interactions")
        thresholds = beam.pvalue.AsIter(
            histories[_DRAWS]
            | "DrawsByItem" >> beam.GroupByKey().with_input_types(tuple[int, bytes])
            | "AnchorThresholds" >> beam.ParDo(_AnchorThresholds(self._description))
        )
        by_shard = _HistoriesByShard(self._description, self._shards)
        # Only a refresh waits for the digests before it ships rows: a full run needs nearly all of them.
        shipped = (
            beam.ParDo(by_shard, thresholds, wanted) if self._known else beam.ParDo(by_shard, thresholds)
        )
        return (
            histories["interactions"]
            | "HistoriesByShard" >> shipped
            | "ByItemShard" >> beam.GroupByKey()
            | "SnapshotEdges" >> beam.ParDo(_SnapshotEdges(computation), wanted)
        )


def _changed(digests: bytes, plan: SnapshotPlan, known: Mapping[int, str]) -> list[int]:
    return changed_snapshots(WindowDigests.from_bytes(digests).by_snapshot(plan), known)


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(bytes)
class _PositiveHistories(beam.DoFn):
    """Events -> packed positive interactions of active users, and draws from which thresholds can be made."""

    def __init__(self, description: DatasetDescription, partitions: int) -> None:
        names = description.behaviour_names
        self._positive = np.uint32(sum(1 << names.index(name) for name in set(description.graph.positive)))
        self._seed = description.seed
        self._filter = anchor_filter(description)
        self._partitions = partitions
        self._groups = min(partitions, _MOST_THRESHOLD_GROUPS)

    def process(
        self, element: tuple[int, bytes]
    ) -> Iterator[bytes | beam.pvalue.TaggedOutput[Literal["draws"], tuple[int, bytes]]]:
        """Keep positive rows of active users."""
        events = EventBlock.from_bytes(element[1])
        _count("events", len(events))
        is_positive = ((events.role & GRAPH_ROW) > 0) & ((events.behaviours & self._positive) > 0)
        has_key = (events.user != MISSING_KEY) & (events.item != MISSING_KEY)
        _count("rows_without_key", int((is_positive & ~has_key).sum()))
        kept = is_positive & has_key
        _count("positive_rows", int(kept.sum()))
        histories = SwingHistories.from_interactions(
            events.user[kept], events.item[kept], events.time[kept], self._seed
        )
        _count("repeated_rows", int(kept.sum()) - len(histories))
        for shard, draws in by_group_of_items(
            self._filter.candidates(histories, self._partitions), self._groups
        ):
            yield beam.pvalue.TaggedOutput(_DRAWS, (shard, pack_columns(draws)))
        is_active = self._are_active(histories)
        lengths = np.diff(histories.offsets)
        rows = np.repeat(is_active, lengths)
        _count("rows_of_users_below_min", int((~rows).sum()))
        user = np.repeat(histories.user, lengths)[rows]
        yield pack_columns(np.stack([user, histories.item_keys[histories.item[rows]], histories.time[rows]]))

    def _are_active(self, histories: SwingHistories) -> np.ndarray:
        """Whether a user has enough distinct items in the whole log; if not, then in no window; bool [U]."""
        if not len(histories):
            return np.zeros(0, bool)
        distinct = np.add.reduceat((histories.repeated_at == NEVER).astype(np.int64), histories.offsets[:-1])
        is_active = distinct >= self._filter.spec.min_behaviours
        _count("users_below_min", int((~is_active).sum()))
        return is_active


@beam.typehints.with_input_types(tuple[int, Iterable[bytes]])
@beam.typehints.with_output_types(bytes)
class _AnchorThresholds(beam.DoFn):
    """Candidate draws of some items -> packed thresholds of the hot pairs of item and slot, if there are any."""

    def __init__(self, description: DatasetDescription) -> None:
        self._filter = anchor_filter(description)

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
        """One element per group of items."""
        candidates = np.concatenate([unpack_columns(piece) for piece in element[1]], axis=1)
        thresholds = self._filter.thresholds(candidates)
        _count("anchor_thresholds", thresholds.shape[1])
        if thresholds.shape[1]:
            yield pack_columns(thresholds)


@beam.typehints.with_input_types(bytes, Iterable[bytes])
@beam.typehints.with_output_types(tuple[int, bytes])
class _HistoriesByShard(beam.DoFn):
    """Interactions -> (shard, packed `SwingShare`): a user's whole history for each shard with an anchor of it."""

    def __init__(self, description: DatasetDescription, shards: int) -> None:
        self._seed = description.seed
        self._filter = anchor_filter(description)
        self._shards = shards
        self._thresholds: np.ndarray | None = None

    def process(
        self, element: bytes, thresholds: Iterable[bytes], wanted: Sequence[int] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """One element per shard; rows that no wanted snapshot sees stay behind."""
        if self._thresholds is None:  # the same for every element
            self._thresholds = _in_order(thresholds)
        user, item, time = unpack_columns(element)
        if wanted is not None:
            first, last = seen_by(self._filter.plan, time)
            is_seen = np.searchsorted(wanted, first) < np.searchsorted(wanted, last, side="right")
            user, item, time = user[is_seen], item[is_seen], time[is_seen]
        draw = hash_keys(self._seed, user, item)
        is_anchor = self._filter.is_anchor(user, item, time, draw, self._thresholds)
        _count("anchor_rows_left_out", int((~is_anchor).sum()))
        shard_of = shard_of_items(item, self._shards)
        for shard, share in shares_of_shards(user, item, time, shard_of, is_anchor, self._shards):
            packed = share.to_bytes()
            _count("shipped_rows", len(share))
            _count("shipped_users", len(share.user))
            _count("shipped_bytes", len(packed))
            yield shard, packed


@beam.typehints.with_input_types(tuple[int, Iterable[bytes]], list[int])
@beam.typehints.with_output_types(str)
class _SnapshotEdges(beam.DoFn):
    """Compute and write the edges of one shard for every snapshot."""

    def __init__(self, computation: SwingShard) -> None:
        self._computation = computation

    def process(self, element: tuple[int, Iterable[bytes]], wanted: Sequence[int]) -> Iterator[str]:
        """Give the path of each file written."""
        shard, pieces = element
        share = SwingShare.concatenate([SwingShare.from_bytes(piece) for piece in pieces])
        Metrics.distribution(COUNTER_NAMESPACE, "shard_rows").update(len(share))
        for path, counters in self._computation.write_edges(shard, share, wanted):
            for name, value in counters.items():
                _count(name, value)
            if path:
                advance("files of edges")
                yield path
        advance("shards")


def anchor_filter(description: DatasetDescription) -> SwingAnchorFilter:
    """The filter of the users of hot items that a description asks for."""
    return SwingAnchorFilter(SnapshotPlan.from_description(description), description.graph.swing)


def by_group_of_items(columns: np.ndarray, groups: int) -> Iterator[tuple[int, np.ndarray]]:
    """Columns int64 [3, n], the first of them item keys, by a hash of the item."""
    group = shard_of_items(columns[0], groups)
    for number in np.unique(group):
        yield int(number), columns[:, group == number]


def pack_columns(columns: np.ndarray) -> bytes:
    """Bytes of int64 [3, n]."""
    return b"".join([columns.shape[1].to_bytes(8, "little"), *map(pack_narrow, columns)])


def unpack_columns(packed: bytes) -> np.ndarray:
    """The inverse of `pack_columns`; int64 [3, n]."""
    count, place = int.from_bytes(packed[:8], "little"), 8
    columns = np.empty((3, count), np.int64)
    for row in range(3):
        columns[row], place = unpack_narrow(packed, count, place)
    return columns


def _in_order(thresholds: Iterable[bytes]) -> np.ndarray:
    """Packed thresholds as int64 [3, n] ordered by (item, slot)."""
    columns = np.concatenate([np.zeros((3, 0), np.int64), *map(unpack_columns, thresholds)], axis=1)
    return np.ascontiguousarray(columns[:, np.lexsort((columns[1], columns[0]))])


def _count(name: str, value: int) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
