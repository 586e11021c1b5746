"""`NodeTableSlices`: the feature tables, by node set and shard, and the edges to feature values."""

import io
from collections.abc import Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.id_kinds import require_same_kinds
from beam_pipelines.node_tables import read_node_tables
from beam_pipelines.transforms.event_pieces import PieceKey, edge_pieces, rows_of_shards
from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.ids import KEY_BITS, MISSING_KEY
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.graph.edge_table import EdgeTable
from tf_e2egrec.graph.node_set_plan import NodeSetPlan
from tf_e2egrec.graph.unigraph_plan import USERS, UnigraphPlan

_EDGES = "edges"


class NodeTableSlices(beam.PTransform):
    """Pipeline -> node table slices and edges from items to the values of their features.

    Output: a pair of collections,
      ((node set, shard), `NodeTable` as Parquet bytes), at most one per set and shard;
      ((edge set, shard of the item), packed `EdgeTable`).

    The tables of the items are read by one worker, and so are those of the users. Counters: those of
    `read_node_table`.

    Args:
      description: the data set.
      plan: its graph.
      shards: files per set.
      kinds: which ids the logs hold as text, `logged_id_kinds`; tables that differ are refused.
    """

    def __init__(
        self,
        description: DatasetDescription,
        plan: UnigraphPlan,
        shards: int,
        kinds: dict[str, dict[str, str]],
    ) -> None:
        super().__init__()
        self._read = _ReadSlices(description, plan, shards, kinds)

    @no_annotations  # Beam knows no tuples of collections
    def expand(
        self, pbegin: beam.pvalue.PBegin
    ) -> tuple[beam.PCollection[tuple[PieceKey, bytes]], beam.PCollection[tuple[PieceKey, bytes]]]:
        """Tables -> slices, edges."""
        groups = pbegin | "TableGroups" >> beam.Create(["items", "users"]).with_output_types(str)
        read = groups | "ReadSlices" >> beam.ParDo(self._read).with_outputs(_EDGES, main="slices")
        return read["slices"], read[_EDGES]


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(tuple[PieceKey, bytes])
class _ReadSlices(beam.DoFn):
    def __init__(
        self,
        description: DatasetDescription,
        plan: UnigraphPlan,
        shards: int,
        kinds: dict[str, dict[str, str]],
    ) -> None:
        self._description = description
        self._plan = plan
        self._shards = shards
        self._kinds = kinds

    def process(
        self, element: str
    ) -> Iterator[
        tuple[PieceKey, bytes] | beam.pvalue.TaggedOutput[Literal["edges"], tuple[PieceKey, bytes]]
    ]:
        report = ReadReport()
        other = "users" if element == "items" else "items"
        tables = read_node_tables(self._description.model_copy(update={other: []}), report)
        require_same_kinds(self._kinds, report.kinds)
        for name, rows in report.counters.items():
            Metrics.counter(COUNTER_NAMESPACE, name).inc(rows)
        if element == "users":
            yield from self._slices(USERS, tables["user"])
            return
        items = tables["item"]
        domain = items.key >> KEY_BITS
        for number, node_set in enumerate(self._plan.node_sets):
            if node_set.kind == "item":
                yield from self._slices(number, _selected(items, np.flatnonzero(domain == node_set.domain)))
        for number, edge_set in self._plan.edge_sets_of_kind("value"):
            edges = _value_edges(items, self._plan.node_sets[edge_set.target])
            for piece in edge_pieces(number, edges, edges.source, self._shards):
                yield beam.pvalue.TaggedOutput(_EDGES, piece)

    def _slices(self, number: int, table: NodeTable) -> Iterator[tuple[PieceKey, bytes]]:
        names = [feature.name for feature in self._plan.node_sets[number].features]
        for shard, rows in rows_of_shards(table.key, self._shards):
            buffer = io.BytesIO()
            piece = _selected(table, rows)
            NodeTable(piece.key, piece.id, {name: piece.features[name] for name in names}).write_parquet(
                buffer
            )
            yield (number, shard), buffer.getvalue()


def _selected(table: NodeTable, rows: np.ndarray) -> NodeTable:
    features = {name: values[rows] for name, values in table.features.items()}
    return NodeTable(table.key[rows], table.id[rows], features)


def _value_edges(items: NodeTable, node_set: NodeSetPlan) -> EdgeTable:
    """An edge of weight 1 from each item to each of its values."""
    values = items.features[node_set.value_of].reshape(len(items), -1)
    row, column = np.nonzero(values != MISSING_KEY)
    return EdgeTable(items.key[row], values[row, column], {"weight": np.ones(len(row), np.float32)})
