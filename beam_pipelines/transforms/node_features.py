"""`NodeFeatures`: the features of sampled nodes, sent to the files that hold them."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.rows_with_node import ASKING, KNOWN, ROWS_PER_GROUP, RowsWithNode
from tf_e2egrec.subgraphs.arrow_block import column, split, unpack
from tf_e2egrec.subgraphs.sampled_rows import distinct_rows


class NodeFeatures(beam.PTransform):
    """Sampled nodes and a node table -> (file number, packed rows with `node` and the features `f:<name>`).

    A node is sent to each file once, however many of its records hold it.

    Input: {`ASKING`: rows with `file` and `node`; `KNOWN`: rows with `node` and features}.

    Counters: `hot_nodes`, `duplicate_nodes` (a node that the table lists twice; one of its rows is taken, by its values).

    Args:
      partitions: of the nodes.
      rows_per_group: see `RowsWithNode`.
    """

    def __init__(self, partitions: int, rows_per_group: int = ROWS_PER_GROUP) -> None:
        super().__init__()
        self._partitions = partitions
        self._rows_per_group = rows_per_group

    @no_annotations  # Beam knows no dictionaries of collections
    def expand(self, rows: dict[str, beam.PCollection[bytes]]) -> beam.PCollection[tuple[int, bytes]]:
        """Nodes beside their features -> features by file."""
        join = RowsWithNode(self._partitions, ("file",), self._rows_per_group)
        return rows | "NodesWithFeatures" >> join | "FeaturesByFile" >> beam.ParDo(_FeaturesByFile())


@beam.typehints.with_output_types(tuple[int, bytes])
class _FeaturesByFile(beam.DoFn):
    def process(self, group: tuple[int, dict[str, list[bytes]]]) -> Iterator[tuple[int, bytes]]:
        _, sides = group
        asking, known = list(sides[ASKING]), list(sides[KNOWN])
        if not asking or not known:
            return
        asked, table = distinct_rows(unpack(asking), ("file", "node")), unpack(known)
        table = _once(table)
        keys, node = column(table, "node"), column(asked, "node")
        place = np.minimum(np.searchsorted(keys, node), len(keys) - 1)
        found = keys[place] == node
        yield from split(table.take(pa.array(place[found])), column(asked, "file")[found])


def _once(table: pa.Table) -> pa.Table:
    """The rows in order of nodes, each node once."""
    node = column(table, "node")
    order = np.argsort(node, kind="stable")
    repeated = np.r_[False, np.diff(node[order]) == 0]
    if not repeated.any():
        return table.take(pa.array(order))
    texts = np.array([repr(row) for row in table.to_pylist()])
    order = np.lexsort([np.unique(texts, return_inverse=True)[1], node])
    Metrics.counter(COUNTER_NAMESPACE, "duplicate_nodes").inc(int(repeated.sum()))
    return table.take(pa.array(order[~repeated]))
