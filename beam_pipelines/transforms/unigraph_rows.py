"""`UnigraphRows`: the rows of one node or edge set of a unigraph, in blocks."""

from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.subgraphs.arrow_block import pack
from tf_e2egrec.subgraphs.unigraph_reader import read_unigraph_blocks
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet


class UnigraphRows(beam.PTransform):
    """Files -> packed Arrow tables with the columns of ids and features; one worker per file.

    Counters: `rows_read/<set>`, `bad_rows/<set>` (an id is missing; left out).

    Args:
      table: the set.
      paths: its files.
    """

    def __init__(self, table: UnigraphSet, paths: Sequence[str]) -> None:
        super().__init__()
        self._table = table
        self._paths = list(paths)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[bytes]:
        """Paths -> rows."""
        return begin | "Files" >> beam.Create(self._paths) | "Rows" >> beam.ParDo(_Rows(self._table))


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(bytes)
class _Rows(beam.DoFn):
    def __init__(self, table: UnigraphSet) -> None:
        self._table = table

    def process(self, path: str) -> Iterator[bytes]:
        with FileSystems.open(path) as stream:
            for rows, bad in read_unigraph_blocks(stream, path, self._table):
                _count(f"rows_read/{self._table.name}", len(rows) + bad)
                _count(f"bad_rows/{self._table.name}", bad)
                if len(rows):
                    yield pack(rows)


def _count(name: str, value: int) -> None:
    Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
