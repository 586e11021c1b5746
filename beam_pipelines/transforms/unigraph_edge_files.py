"""`UnigraphEdgeFiles`: edges by set and shard, written in TF-GNN's unigraph layout."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.event_pieces import PieceKey, rows_of_shards
from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.record_file import write_record_file
from tf_e2egrec.graph.edge_table import EdgeTable
from tf_e2egrec.graph.explicit_edges import most_recent
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan
from tf_e2egrec.subgraphs.example_table import encode_example_table

_ROWS_PER_CHUNK = 1 << 17
_DEGREES = "degrees"


class UnigraphEdgeFiles(beam.PTransform):
    """((edge set, shard), packed `EdgeTable`) -> files, and the degrees of the nodes.

    Every shard of every set has a file, `edges/<set>.tfrecord-<shard>-of-<shards>`, with the edges in order of
    (target, source); the file of a shard without edges is empty.

    Output: a pair of collections,
      a JSON object per file: `set`, `records`, `bytes`, `newest_time` (null without times);
      ((node set, shard), int64 [3, k] as bytes): side of an edge set (`UnigraphPlan.sides_of`), key, degree.

    Counters: `swing_edges_written`, `explicit_edges_written`, `value_edges_written`, `explicit_edges_capped_by_item`.

    Args:
      plan: the graph.
      shards: files per set.
      directory: where the files go; every worker must reach it.
    """

    def __init__(self, plan: UnigraphPlan, shards: int, directory: str) -> None:
        super().__init__()
        self._plan = plan
        self._shards = shards
        self._directory = directory

    @no_annotations  # Beam knows no tuples of collections
    def expand(
        self, pieces: beam.PCollection[tuple[PieceKey, bytes]]
    ) -> tuple[beam.PCollection[str], beam.PCollection[tuple[PieceKey, bytes]]]:
        """Pieces -> files, degrees."""
        every_shard = (
            pieces.pipeline
            | "EdgeSets"
            >> beam.Create(range(len(self._plan.edge_sets)), reshuffle=False).with_output_types(int)
            | "EmptyPieces" >> beam.ParDo(_EmptyPieces(self._plan, self._shards))
        )
        written = (
            (pieces, every_shard)
            | "WithEmptyPieces" >> beam.Flatten()
            | "EdgesByShard" >> beam.GroupByKey()
            | "EdgeFiles"
            >> beam.ParDo(_EdgeFiles(self._plan, self._shards, self._directory)).with_outputs(
                _DEGREES, main="files"
            )
        )
        return written["files"], written[_DEGREES]


@beam.typehints.with_input_types(int)
@beam.typehints.with_output_types(tuple[PieceKey, bytes])
class _EmptyPieces(beam.DoFn):
    def __init__(self, plan: UnigraphPlan, shards: int) -> None:
        self._plan = plan
        self._shards = shards

    def process(self, element: int) -> Iterator[tuple[PieceKey, bytes]]:
        packed = self._plan.edge_sets[element].no_edges().to_bytes()
        for shard in range(self._shards):
            yield (element, shard), packed


@beam.typehints.with_input_types(tuple[PieceKey, Iterable[bytes]])
@beam.typehints.with_output_types(str)
class _EdgeFiles(beam.DoFn):
    def __init__(self, plan: UnigraphPlan, shards: int, directory: str) -> None:
        self._plan = plan
        self._shards = shards
        self._directory = directory

    def process(
        self, element: tuple[PieceKey, Iterable[bytes]]
    ) -> Iterator[str | beam.pvalue.TaggedOutput[Literal["degrees"], tuple[PieceKey, bytes]]]:
        (number, shard), packed = element
        edge_set = self._plan.edge_sets[number]
        edges = EdgeTable.concatenate([EdgeTable.from_bytes(piece) for piece in packed])
        if edge_set.kind == "explicit":
            limit = self._plan.max_per_node
            kept = most_recent(edges.target, edges.source, edges.features["time"], limit)
            Metrics.counter(COUNTER_NAMESPACE, "explicit_edges_capped_by_item").inc(int((~kept).sum()))
            edges = edges.take(kept)
        edges = edges.sorted()
        Metrics.counter(COUNTER_NAMESPACE, f"{edge_set.kind}_edges_written").inc(len(edges))
        written = write_record_file(
            Path(self._directory) / shard_file(f"edges/{edge_set.name}", shard, self._shards), _records(edges)
        )
        for side, end, keys in ((0, edge_set.source, edges.source), (1, edge_set.target, edges.target)):
            node, degree = np.unique(keys, return_counts=True)
            columns = np.stack([np.full(len(node), 2 * number + side), node, degree]).astype("<i8")
            for owner, rows in rows_of_shards(node, self._shards):
                yield beam.pvalue.TaggedOutput(_DEGREES, ((end, owner), columns[:, rows].tobytes()))
        times = edges.features.get("time")
        newest = int(times.max()) if times is not None and len(times) else None
        yield json.dumps(
            {"set": f"edges/{edge_set.name}", "records": len(edges), "bytes": written, "newest_time": newest}
        )


def shard_file(name: str, shard: int, shards: int) -> str:
    """The file of a shard, in the form that `<name>.tfrecord@<shards>` in a GraphSchema stands for."""
    return f"{name}.tfrecord-{shard:05d}-of-{shards:05d}"


def _records(edges: EdgeTable) -> Iterator[bytes]:
    for piece in edges.pieces(_ROWS_PER_CHUNK):
        columns = {"#source": piece.source, "#target": piece.target, **piece.features}
        yield encode_example_table(columns, decimal=("#source", "#target"))
