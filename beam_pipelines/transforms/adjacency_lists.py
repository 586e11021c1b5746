"""`AdjacencyLists`: the edges of a set, grouped by the nodes that an op starts from."""

import functools
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from tf_e2egrec.subgraphs.adjacency_block import heaviest_edges
from tf_e2egrec.subgraphs.arrow_block import column, partition_of, split, unpack


class AdjacencyLists(beam.PTransform):
    """Edge rows -> packed adjacency lists (`adjacency_block`), each node in one of them.

    Lists are cut to the `top` heaviest edges before and after the shuffle: a node with any number of edges costs each worker `top`.

    Args:
      features: names of the features that the lists carry.
      weight: its feature that is the weight; empty where all edges weigh 1.
      direction: of the op, `incoming` (starts from targets) or `outgoing`.
      top: edges per node.
      partitions: number of parts.
    """

    def __init__(
        self,
        features: tuple[str, ...],
        weight: str,
        direction: str,
        top: int,
        partitions: int,
    ) -> None:
        super().__init__()
        self._features = features
        self._weight = weight
        self._direction = direction
        self._top = top
        self._partitions = partitions

    def expand(self, edges: beam.PCollection[bytes]) -> beam.PCollection[bytes]:
        """Edges -> edges by node partition -> lists."""
        by_node = _EdgesByNode(self._features, self._weight, self._direction, self._partitions)
        return (
            edges
            | "EdgesByNode" >> beam.ParDo(by_node)
            | "Heaviest"
            >> beam.CombinePerKey(functools.partial(heaviest_edges, top=self._top)).with_output_types(
                tuple[int, bytes]
            )
            | "Lists" >> beam.Values()
        )


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(tuple[int, bytes])
class _EdgesByNode(beam.DoFn):
    def __init__(self, features: tuple[str, ...], weight: str, direction: str, partitions: int) -> None:
        self._features = features
        self._weight = weight
        self._direction = direction
        self._partitions = partitions

    def process(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        table = unpack([block])
        near, far = ("#target", "#source") if self._direction == "incoming" else ("#source", "#target")
        weight = (
            column(table, self._weight).astype(np.float32)
            if self._weight
            else np.ones(len(table), np.float32)
        )
        columns = {"node": table.column(near), "neighbour": table.column(far), "weight": pa.array(weight)}
        columns |= {f"f:{name}": table.column(name) for name in self._features}
        yield from split(pa.table(columns), partition_of(self._partitions, column(table, near)))
