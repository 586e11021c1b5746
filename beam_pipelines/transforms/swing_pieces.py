"""`SwingPieces`: the Swing edges of a snapshot, by pair of domains and shard."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.transforms.event_pieces import PieceKey, edge_pieces
from tf_e2egrec.dataset.ids import KEY_BITS
from tf_e2egrec.graph.edge_table import EdgeTable
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan

_ROWS_PER_BATCH = 1 << 20


class SwingPieces(beam.PTransform):
    """Pipeline -> ((edge set, shard of the target), packed `EdgeTable`).

    Args:
      plan: the graph.
      files: edge files of the snapshot, written by the swing stage; every worker must reach them.
      shards: files per set.
    """

    def __init__(self, plan: UnigraphPlan, files: Sequence[Path], shards: int) -> None:
        super().__init__()
        self._plan = plan
        self._files = [str(file) for file in files]
        self._shards = shards

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[tuple[PieceKey, bytes]]:
        """Files -> edges by pair of domains."""
        return (
            pbegin
            | "EdgeFiles" >> beam.Create(self._files).with_output_types(str)
            | "EdgesOfFile" >> beam.ParDo(_EdgesOfFile(self._plan, self._shards))
        )


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(tuple[PieceKey, bytes])
class _EdgesOfFile(beam.DoFn):
    def __init__(self, plan: UnigraphPlan, shards: int) -> None:
        self._plan = plan
        self._shards = shards

    def process(self, element: str) -> Iterator[tuple[PieceKey, bytes]]:
        with pq.ParquetFile(element) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH):
                yield from self._pieces(batch)

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[tuple[PieceKey, bytes]]:
        columns = {name: batch.column(name).to_numpy() for name in batch.schema.names}
        source, target = columns.pop("source"), columns.pop("target")
        edges = EdgeTable(source, target, columns)
        domains = np.stack([source >> KEY_BITS, target >> KEY_BITS])
        for number, edge_set in self._plan.edge_sets_of_kind("swing"):
            ends = [self._plan.node_sets[end].domain for end in (edge_set.source, edge_set.target)]
            of_pair = edges.take((domains[0] == ends[0]) & (domains[1] == ends[1]))
            yield from edge_pieces(number, of_pair, of_pair.target, self._shards)
