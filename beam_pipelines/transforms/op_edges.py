"""`OpEdges`: the edges that one op of a sampling plan draws."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.rows_with_node import ASKING, KNOWN, ROWS_PER_GROUP, RowsWithNode
from tf_e2egrec.graph.heterogeneous_sampling import excluded_neighbours, sample_op
from tf_e2egrec.graph.sampling_plan import OpEnds, SamplingPlan
from tf_e2egrec.subgraphs.adjacency_block import neighbour_table
from tf_e2egrec.subgraphs.arrow_block import column, pack, unpack
from tf_e2egrec.subgraphs.sampled_rows import distinct_rows

_ROWS_PER_BLOCK = 4096  # frontier nodes whose edges make one block


class OpEdges(beam.PTransform):
    """Frontier and adjacency lists -> chosen edges; all of them packed Arrow tables.

    Input: {`ASKING`: rows with `seed`, `target` (which name the example) and `node`; `KNOWN`: adjacency lists}.
    Output: rows with `seed`, `target`, `node`, `neighbour`, `weight`, `share` and the edges' features.

    Counters: `hot_nodes`, `frontier/<op>` (distinct nodes per example, summed), `op_edges/<op>`, `without_edges/<op>`.

    Args:
      plan: the ops.
      number: of this op.
      ends: of this op.
      partitions: of the nodes.
      rows_per_group: see `RowsWithNode`.
    """

    def __init__(
        self,
        plan: SamplingPlan,
        number: int,
        ends: OpEnds,
        partitions: int,
        rows_per_group: int = ROWS_PER_GROUP,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._number = number
        self._ends = ends
        self._partitions = partitions
        self._rows_per_group = rows_per_group

    @no_annotations  # Beam knows no dictionaries of collections
    def expand(self, rows: dict[str, beam.PCollection[bytes]]) -> beam.PCollection[bytes]:
        """Frontier beside its adjacency -> edges."""
        join = RowsWithNode(self._partitions, ("seed", "target"), self._rows_per_group)
        draw = beam.ParDo(_Draw(self._plan, self._number, self._ends))
        return rows | "FrontierWithEdges" >> join | "Draw" >> draw


@beam.typehints.with_output_types(bytes)
class _Draw(beam.DoFn):
    def __init__(self, plan: SamplingPlan, number: int, ends: OpEnds) -> None:
        self._plan = plan
        self._number = number
        self._ends = ends

    def process(self, group: tuple[int, dict[str, list[bytes]]]) -> Iterator[bytes]:
        _, sides = group
        asking, known = list(sides[ASKING]), list(sides[KNOWN])
        if not asking:
            return
        frontier = distinct_rows(unpack(asking), ("seed", "target", "node"))
        name = self._plan.op_names[self._number]
        _count(f"frontier/{name}", len(frontier))
        if not known:
            _count(f"without_edges/{name}", len(frontier))
            return
        adjacency = unpack(known)
        lists = neighbour_table(adjacency := adjacency.take(pa.array(_by_node(adjacency))))
        features = [one for one in adjacency.column_names if one.startswith("f:")]
        for start in range(0, len(frontier), _ROWS_PER_BLOCK):
            rows = frontier.slice(start, _ROWS_PER_BLOCK)
            seed, target, node = (column(rows, one) for one in ("seed", "target", "node"))
            excluded = excluded_neighbours(self._plan, self._number, self._ends, node, seed, target)
            drawn = sample_op(self._plan, self._number, lists, np.arange(len(rows)), node, excluded)
            _count(f"op_edges/{name}", len(drawn))
            _count(f"without_edges/{name}", len(rows) - len(np.unique(drawn.example)))
            columns = {"seed": seed[drawn.example], "target": target[drawn.example], "node": drawn.node}
            columns |= {
                "neighbour": drawn.neighbour,
                "weight": drawn.weight,
                "share": drawn.propagation_weight,
            }
            taken = adjacency.select(features).take(pa.array(drawn.row))
            yield pack(pa.table(columns | {one: taken.column(one) for one in features}))


def _by_node(adjacency: pa.Table) -> np.ndarray:
    """Order of the rows by node; a list's rows keep theirs, for each list comes from one block."""
    return np.argsort(column(adjacency, "node"), kind="stable")


def _count(name: str, value: int) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
