"""`UsableEdges`: the edges of a set that can be drawn."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.subgraphs.arrow_block import column, pack, unpack


class UsableEdges(beam.PTransform):
    """Edge rows -> those whose weight is a positive number; without a weight, all of them.

    Counters: `bad_rows/<set>` (the weight is missing, NaN or infinite), `unusable_edges` (it is zero or less).

    Args:
      name: of the edge set.
      weight: its feature that is the weight; empty where all edges weigh 1.
    """

    def __init__(self, name: str, weight: str) -> None:
        super().__init__()
        self._name = name
        self._weight = weight

    def expand(self, edges: beam.PCollection[bytes]) -> beam.PCollection[bytes]:
        """Rows -> rows."""
        return edges | "Usable" >> beam.ParDo(_Usable(self._name, self._weight)) if self._weight else edges


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(bytes)
class _Usable(beam.DoFn):
    def __init__(self, name: str, weight: str) -> None:
        self._name = name
        self._weight = weight

    def process(self, block: bytes) -> Iterator[bytes]:
        table = unpack([block])
        weight = column(table, self._weight)
        is_number = np.isfinite(weight)
        _count(f"bad_rows/{self._name}", int((~is_number).sum()))
        _count("unusable_edges", int((is_number & (weight <= 0)).sum()))
        yield pack(table.filter(pa.array(is_number & (weight > 0))))


def _count(name: str, value: int) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
