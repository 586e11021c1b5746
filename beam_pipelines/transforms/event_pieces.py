"""`EventPieces`: explicit edges and nodes out of the events that a snapshot may see."""

import itertools
from collections.abc import Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.dataset.events import GRAPH_ROW, EventBlock
from tf_e2egrec.dataset.ids import KEY_BITS, MISSING_KEY
from tf_e2egrec.graph.edge_set_plan import EdgeSetPlan
from tf_e2egrec.graph.edge_table import EdgeTable
from tf_e2egrec.graph.explicit_edges import explicit_edges, most_recent
from tf_e2egrec.graph.unigraph_plan import USERS, UnigraphPlan, shard_of_keys

PieceKey = tuple[int, int]  # (number of the node or edge set, shard)
_MOST_EDGES = 1 << 20  # per element, about 30 MB
_KEYS = "keys"


class EventPieces(beam.PTransform):
    """(partition, packed `EventBlock` of whole users) -> explicit edges and nodes, by set and shard.

    Output: a pair of collections,
      ((edge set, shard of the item), packed `EdgeTable`), capped per user and, within the partition, per item;
      ((node set, shard), int64 keys as bytes) of every user and item with an event in the window.

    Only rows that feed the graph are looked at, and of these only those in `[plan.start, plan.end)`. Counters:
    `graph_rows_in_window`, `graph_rows_before_window`, `graph_rows_after_snapshot`, `graph_rows_without_key`,
    `explicit_events`, `explicit_users_capped` (users per edge set), `explicit_edges_capped_by_user`,
    `explicit_edges_capped_by_item`.

    Args:
      plan: the graph.
      shards: files per set.
    """

    def __init__(self, plan: UnigraphPlan, shards: int) -> None:
        super().__init__()
        self._plan = plan
        self._shards = shards

    @no_annotations  # Beam knows no tuples of collections
    def expand(
        self, events: beam.PCollection[tuple[int, bytes]]
    ) -> tuple[beam.PCollection[tuple[PieceKey, bytes]], beam.PCollection[tuple[PieceKey, bytes]]]:
        """Events -> edges, keys."""
        pieces = events | "PiecesOfPartition" >> beam.ParDo(
            _PiecesOfPartition(self._plan, self._shards)
        ).with_outputs(_KEYS, main="edges")
        return pieces["edges"], pieces[_KEYS]


def edge_pieces(
    number: int, table: EdgeTable, owner: np.ndarray, shards: int
) -> Iterator[tuple[PieceKey, bytes]]:
    """Edges by the shard of their owner, in elements of limited size.

    Args:
      number: of the edge set.
      table: m edges.
      owner: int64 [m], the end of each edge that decides about its shard.
      shards: files per set.
    """
    for shard, rows in rows_of_shards(owner, shards):
        for piece in table.take(rows).pieces(_MOST_EDGES):
            yield (number, shard), piece.to_bytes()


def rows_of_shards(keys: np.ndarray, shards: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each shard that owns a key, with the rows of its keys in their order."""
    shard = shard_of_keys(keys, shards)
    order = np.argsort(shard, kind="stable")
    ordered = shard[order]
    bounds = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True]) if len(keys) else np.zeros(0, int)
    for start, end in itertools.pairwise(bounds):
        yield int(ordered[start]), order[start:end]


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(tuple[PieceKey, bytes])
class _PiecesOfPartition(beam.DoFn):
    def __init__(self, plan: UnigraphPlan, shards: int) -> None:
        self._plan = plan
        self._shards = shards

    def process(
        self, element: tuple[int, bytes]
    ) -> Iterator[tuple[PieceKey, bytes] | beam.pvalue.TaggedOutput[Literal["keys"], tuple[PieceKey, bytes]]]:
        events = self._seen(EventBlock.from_bytes(element[1]))
        domain = events.item >> KEY_BITS
        for number, edge_set in self._plan.edge_sets_of_kind("explicit"):
            is_domain = domain == self._plan.node_sets[edge_set.target].domain
            edges = self._edges(edge_set, events.take(is_domain))
            yield from edge_pieces(number, edges, edges.target, self._shards)
        for number, node_set in enumerate(self._plan.node_sets):
            if node_set.kind == "value":
                continue
            keys = np.unique(events.user if number == USERS else events.item[domain == node_set.domain])
            for shard, rows in rows_of_shards(keys, self._shards):
                yield beam.pvalue.TaggedOutput(_KEYS, ((number, shard), keys[rows].tobytes()))

    def _seen(self, events: EventBlock) -> EventBlock:
        """The rows that may become edges of the snapshot."""
        is_graph = (events.role & GRAPH_ROW) > 0
        has_key = (events.user != MISSING_KEY) & (events.item != MISSING_KEY)
        before, after = events.time < self._plan.start, events.time >= self._plan.end
        _count("graph_rows_without_key", (is_graph & ~has_key).sum())
        is_graph &= has_key
        _count("graph_rows_before_window", (is_graph & before).sum())
        _count("graph_rows_after_snapshot", (is_graph & after).sum())
        is_graph &= ~before & ~after
        _count("graph_rows_in_window", is_graph.sum())
        return events.take(is_graph)

    def _edges(self, edge_set: EdgeSetPlan, events: EventBlock) -> EdgeTable:
        """Edges of one set, capped per user and, as far as this partition knows, per item."""
        rows = (events.behaviours >> np.uint32(edge_set.behaviour)) & np.uint32(1) > 0
        limit = self._plan.max_per_node
        edges = explicit_edges(
            events.user[rows], events.item[rows], events.time[rows], self._plan.end, self._plan.half_life
        )
        kept = most_recent(edges.source, edges.target, edges.features["time"], limit)
        _count("explicit_events", rows.sum())
        _count("explicit_users_capped", len(np.unique(edges.source[~kept])))
        _count("explicit_edges_capped_by_user", (~kept).sum())
        edges = edges.take(kept)
        # No item needs more than its most recent edges of each partition: hot items stay light.
        kept = most_recent(edges.target, edges.source, edges.features["time"], limit)
        _count("explicit_edges_capped_by_item", (~kept).sum())
        return edges.take(kept)


def _count(name: str, value: int | np.integer) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(int(value))
