"""`NodesOfFiles`: which nodes each file of examples needs."""

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tf_e2egrec.subgraphs.arrow_block import column, pack, partition_of, unpack
from tf_e2egrec.subgraphs.sampled_rows import distinct_rows


class NodesOfFiles(beam.PTransform):
    """Rows with `seed`, `target` and a column of nodes -> distinct `file`, `node` of each block.

    Args:
      files: number of files that examples are spread over.
      name: the column of nodes.
    """

    def __init__(self, files: int, name: str) -> None:
        super().__init__()
        self._files = files
        self._name = name

    def expand(self, rows: beam.PCollection[bytes]) -> beam.PCollection[bytes]:
        """Rows -> nodes."""
        return rows | "Nodes" >> beam.Map(_nodes_of_block, self._files, self._name).with_output_types(bytes)


def file_of(table: pa.Table, files: int) -> np.ndarray:
    """Which file each row's example is written to; int64 [n]."""
    return partition_of(files, column(table, "seed"), column(table, "target"))


def _nodes_of_block(block: bytes, files: int, name: str) -> bytes:
    table = unpack([block])
    rows = pa.table({"file": file_of(table, files), "node": table.column(name)})
    return pack(distinct_rows(rows, ("file", "node")))
