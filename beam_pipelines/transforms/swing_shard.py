"""`SwingShard`: the Swing edges of one item shard for every snapshot, written as Parquet."""

import collections
import concurrent.futures
import dataclasses
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.dataset.radix_order import radix_order
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing import SwingEdges, window_edges
from tf_e2egrec.graph.swing_histories import SwingHistories
from tf_e2egrec.graph.swing_share import SwingShare

# Key in the footer of an edge file. Nothing about the rest of the log may stand there: a file depends on its window alone.
NEWEST_EVENT_TIME = b"newest_event_time"  # of the newest event in a history that an edge was computed from
_SHARD_SEED = 0x5317  # spreads items over shards; nothing in the output depends on it
_LOG_EVERY_S = 5.0
_SUMMED_OVER_SNAPSHOTS = (
    "users_below_min",
    "users_capped",
    "behaviours_capped",
    "items_capped",
    "anchor_users_capped",
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SwingShard:
    """Computes one shard after the other; holds the settings only.

    A hot item needs no more than `spec.max_users_per_item` users per snapshot, so whoever sends the histories
    may leave out users whose draw is certain to lose in every snapshot: `window_edges` selects again among
    those that arrive, and the result is the same.

    Attributes:
      plan: the snapshots.
      spec: parameters and caps.
      seed: of the anchor cap.
      shards: number of shards; decides which items a shard owns.
      directory: edge files go to `snapshot=<id>/shard-<n>.parquet` under it.
      threads: over snapshots, or over anchors where there are few snapshots.
    """

    plan: SnapshotPlan
    spec: SwingSpec
    seed: int
    shards: int
    directory: str
    threads: int

    def write_edges(
        self, shard: int, share: SwingShare, wanted: Sequence[int]
    ) -> Iterator[tuple[str, dict[str, int]]]:
        """Write the edges of snapshots.

        Args:
          shard: its number.
          share: of every user that may count among the users of one of the shard's items, all rows that a
            wanted snapshot sees.
          wanted: the snapshots, in order.

        Yields:
          (path, counters) for each snapshot, the path empty where there are no edges; at last ("", counters
          of the shard).
        """
        user = np.repeat(share.user, share.length)
        histories = SwingHistories.from_interactions(user, share.item, share.time, self.seed)
        is_counted = share.is_counted[radix_order(share.user)]
        del user, share  # the histories are all that is needed
        is_anchor = shard_of_items(histories.item_keys, self.shards) == shard
        snapshots = snapshots_with_events(self.plan, histories.time, wanted)
        pool_size = self.threads if len(snapshots) >= 2 * self.threads else 1

        def compute(snapshot: int) -> SwingEdges:
            start, end = self.plan.window_of(snapshot)
            threads = self.threads if pool_size == 1 else 1
            edges = window_edges(
                histories, self.spec, start, end, is_anchor=is_anchor, is_counted=is_counted, threads=threads
            )
            if len(edges):
                write_edges_file(edges, self._path(snapshot, shard))
            return edges

        has_edges = np.zeros(len(histories.item_keys), bool)
        logged = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(pool_size) as pool:
            for done, (snapshot, edges) in enumerate(
                _in_order(pool, compute, snapshots, 2 * pool_size), start=1
            ):
                targets = (
                    edges.target[np.r_[True, edges.target[1:] != edges.target[:-1]]]
                    if len(edges)
                    else edges.target
                )
                has_edges[np.searchsorted(histories.item_keys, targets)] = True
                if time.monotonic() - logged > _LOG_EVERY_S:
                    logged = time.monotonic()
                    _log.info(
                        "swing: shard %d of %d, %d of %d snapshots", shard, self.shards, done, len(snapshots)
                    )
                yield str(self._path(snapshot, shard)) if len(edges) else "", _counters(edges)
        yield "", {"items": int(has_edges.sum())}

    def _path(self, snapshot: int, shard: int) -> Path:
        return Path(self.directory) / f"snapshot={snapshot}" / f"shard-{shard:05d}.parquet"


def _in_order(
    pool: concurrent.futures.ThreadPoolExecutor,
    compute: Callable[[int], SwingEdges],
    snapshots: Sequence[int],
    ahead: int,
) -> Iterator[tuple[int, SwingEdges]]:
    """Results in order, at most `ahead` of them waiting; what has not begun is cancelled on an error."""
    waiting: collections.deque[tuple[int, concurrent.futures.Future[SwingEdges]]] = collections.deque()
    remaining = iter(snapshots)
    try:
        while True:
            added = itertools.islice(remaining, ahead - len(waiting))
            waiting.extend((snapshot, pool.submit(compute, snapshot)) for snapshot in added)
            if not waiting:
                return
            snapshot, future = waiting.popleft()
            yield snapshot, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _counters(edges: SwingEdges) -> dict[str, int]:
    """What one snapshot adds to the pipeline's counters."""
    counters = {f"snapshot_{name}": edges.counters[name] for name in _SUMMED_OVER_SNAPSHOTS}
    counters |= {name: edges.counters[name] for name in ("edges", "pair_lookups", "contributions")}
    return counters | {"snapshot_files": int(len(edges) > 0)}


def shard_of_items(items: np.ndarray, shards: int) -> np.ndarray:
    """The shard that owns each item; int64 [n]."""
    return (hash_keys(_SHARD_SEED, items) % np.uint64(shards)).astype(np.int64)


def snapshots_with_events(plan: SnapshotPlan, event_time: np.ndarray, wanted: Sequence[int]) -> list[int]:
    """The wanted snapshots whose window holds an event.

    Args:
      plan: the snapshots.
      event_time: int64 [n] times of the shard's events.
      wanted: ids of snapshots.
    """
    ordered = np.sort(event_time)
    windows = (plan.window_of(snapshot) for snapshot in wanted)
    return [
        snapshot
        for snapshot, (start, end) in zip(wanted, windows, strict=True)
        if np.searchsorted(ordered, start) < np.searchsorted(ordered, end)
    ]


def write_edges_file(edges: SwingEdges, path: Path) -> None:
    """Write edges as one Parquet file that appears whole; a retry overwrites it with the same bytes."""
    columns = {"source": edges.source, "target": edges.target, "weight": edges.weight}
    if edges.normalised is not None:
        columns["normalised"] = edges.normalised
    footer = {NEWEST_EVENT_TIME: str(edges.newest_event_time).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        table = pa.table(columns).replace_schema_metadata(footer)
        # Weights hardly repeat: a dictionary of them costs time and saves nothing.
        options = {"use_dictionary": ["source", "target"], "compression": "lz4", "write_page_checksum": True}
        pq.write_table(table, temporary, **options)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
