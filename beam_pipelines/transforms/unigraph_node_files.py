"""`UnigraphNodeFiles`: nodes by set and shard, written in TF-GNN's unigraph layout."""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.event_pieces import PieceKey
from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.record_file import write_record_file
from beam_pipelines.transforms.unigraph_edge_files import shard_file
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.graph.degree_histogram import DegreeHistogram
from tf_e2egrec.graph.node_set_plan import NodeSetPlan
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan
from tf_e2egrec.graph.unigraph_statistics import ALL_SIDES
from tf_e2egrec.subgraphs.example_table import encode_example_table

_ROWS_PER_CHUNK = 1 << 16
_HISTOGRAMS = "histograms"


class UnigraphNodeFiles(beam.PTransform):
    """Slices of the feature tables, keys with events, degrees -> files, and degree histograms.

    The nodes of a set are those that a feature table describes, that have an event in the snapshot's window, or
    that an edge ends in. Every shard of every set has a file, `nodes/<set>.tfrecord-<shard>-of-<shards>`, in
    order of keys.

    Input: {`slices`, `keys`, `degrees`}, as `NodeTableSlices`, `EventPieces` and `UnigraphEdgeFiles` give them.
    Output: a pair of collections,
      a JSON object per file: `set`, `records`, `bytes`;
      ((node set, side or `ALL_SIDES`), packed `DegreeHistogram`), one each.

    Counters: `nodes`, `nodes_without_features` (of sets that have features).

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
        self, pieces: dict[str, beam.PCollection[tuple[PieceKey, bytes]]]
    ) -> tuple[beam.PCollection[str], beam.PCollection[tuple[PieceKey, bytes]]]:
        """Pieces -> files, histograms."""
        every_shard = (
            pieces["keys"].pipeline
            | "NodeSets"
            >> beam.Create(range(len(self._plan.node_sets)), reshuffle=False).with_output_types(int)
            | "NoKeys" >> beam.ParDo(_NoKeys(self._shards))
        )
        keys = (pieces["keys"], every_shard) | "WithEveryShard" >> beam.Flatten()
        written = (
            pieces | {"keys": keys}
            | "NodesByShard" >> beam.CoGroupByKey()
            | "NodeFiles"
            >> beam.ParDo(_NodeFiles(self._plan, self._shards, self._directory)).with_outputs(
                _HISTOGRAMS, main="files"
            )
        )  # fmt: skip
        return written["files"], written[_HISTOGRAMS] | "WholeHistograms" >> beam.CombinePerKey(_merged)


@beam.typehints.with_input_types(int)
@beam.typehints.with_output_types(tuple[PieceKey, bytes])
class _NoKeys(beam.DoFn):
    def __init__(self, shards: int) -> None:
        self._shards = shards

    def process(self, element: int) -> Iterator[tuple[PieceKey, bytes]]:
        for shard in range(self._shards):
            yield (element, shard), b""


@beam.typehints.with_output_types(str)
class _NodeFiles(beam.DoFn):
    def __init__(self, plan: UnigraphPlan, shards: int, directory: str) -> None:
        self._plan = plan
        self._shards = shards
        self._directory = directory

    def process(
        self, element: tuple[PieceKey, dict[str, Iterable[bytes]]]
    ) -> Iterator[str | beam.pvalue.TaggedOutput[Literal["histograms"], tuple[PieceKey, bytes]]]:
        (number, shard), pieces = element
        node_set = self._plan.node_sets[number]
        slices = [NodeTable.read_parquet(io.BytesIO(packed)) for packed in pieces["slices"]]
        keys = np.frombuffer(b"".join(pieces["keys"]), "<i8")
        degrees = [np.frombuffer(packed, "<i8").reshape(3, -1) for packed in pieces["degrees"]]
        side, node, degree = np.concatenate([np.zeros((3, 0), np.int64), *degrees], axis=1)
        described = slices[0] if slices else node_set.no_nodes()
        table = described.with_keys(np.concatenate([keys, node]))
        Metrics.counter(COUNTER_NAMESPACE, "nodes").inc(len(table))
        if node_set.features:
            Metrics.counter(COUNTER_NAMESPACE, "nodes_without_features").inc(len(table) - len(described))
        written = write_record_file(
            Path(self._directory) / shard_file(f"nodes/{node_set.name}", shard, self._shards),
            _records(table, node_set),
        )
        row = table.lookup(node)
        for one in [ALL_SIDES, *self._plan.sides_of(number)]:
            counted = side >= 0 if one == ALL_SIDES else side == one
            sums = np.zeros(len(table), np.int64)
            np.add.at(sums, row[counted], degree[counted])
            yield beam.pvalue.TaggedOutput(_HISTOGRAMS, ((number, one), DegreeHistogram.of(sums).to_bytes()))
        yield json.dumps({"set": f"nodes/{node_set.name}", "records": len(table), "bytes": written})


def _records(table: NodeTable, node_set: NodeSetPlan) -> Iterator[bytes]:
    columns = {"#id": table.key, "key": table.key, **table.features}
    if node_set.kind != "value":
        columns["original_id"] = table.id
    for start in range(0, len(table), _ROWS_PER_CHUNK):
        rows = slice(start, start + _ROWS_PER_CHUNK)
        yield encode_example_table({name: values[rows] for name, values in columns.items()}, decimal=("#id",))


def _merged(packed: Iterable[bytes]) -> bytes:
    return DegreeHistogram.merged(DegreeHistogram.from_bytes(one) for one in packed).to_bytes()
