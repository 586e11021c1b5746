"""`RowsWithNode`: a join on node keys in which popular nodes do not pile up on one worker."""

import functools
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.subgraphs.arrow_block import column, pack, partition_of, split, unpack

ROWS_PER_GROUP = 1 << 17  # a node that more rows ask for is spread over several groups
ASKING, KNOWN = "asking", "known"


class RowsWithNode(beam.PTransform):
    """Rows that ask for a node, grouped with what is known of the nodes; both are packed Arrow tables with a column `node`.

    Nodes are hashed to partitions. A node that very many rows ask for is known in several groups, and the rows are spread over them by
    `spread_by`: equal rows always meet.

    Input: {`ASKING`: rows, `KNOWN`: rows}. Output: (group, {`ASKING`: blocks, `KNOWN`: blocks}).

    Counters: `hot_nodes`.

    Args:
      partitions: number of partitions.
      spread_by: columns of the asking rows.
      rows_per_group: limit of the rows per node and group.
    """

    def __init__(
        self, partitions: int, spread_by: tuple[str, ...], rows_per_group: int = ROWS_PER_GROUP
    ) -> None:
        super().__init__()
        self._partitions = partitions
        self._spread_by = spread_by
        self._rows_per_group = rows_per_group

    @no_annotations  # Beam knows no dictionaries of collections
    def expand(
        self, rows: dict[str, beam.PCollection[bytes]]
    ) -> beam.PCollection[tuple[int, dict[str, list[bytes]]]]:
        """Count -> hot nodes -> both sides by group -> groups."""
        hot = (
            rows[ASKING]
            | "NodeCounts" >> beam.ParDo(_NodeCounts(self._partitions))
            | "Counts" >> beam.CombinePerKey(_added).with_output_types(tuple[int, bytes])
            | "HotNodes"
            >> beam.FlatMap(functools.partial(_hot_nodes, limit=self._rows_per_group)).with_output_types(
                bytes
            )
        )
        side = beam.pvalue.AsList(hot)
        asking = rows[ASKING] | "AskingByGroup" >> beam.ParDo(
            _AskingByGroup(self._partitions, self._spread_by), side
        )
        known = rows[KNOWN] | "KnownByGroup" >> beam.ParDo(_KnownByGroup(self._partitions), side)
        return {ASKING: asking, KNOWN: known} | "Groups" >> beam.CoGroupByKey()


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(tuple[int, bytes])
class _NodeCounts(beam.DoFn):
    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def process(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        node, count = np.unique(column(unpack([block]), "node"), return_counts=True)
        yield from split(pa.table({"node": node, "count": count}), partition_of(self._partitions, node))


def _added(blocks: Iterable[bytes]) -> bytes:
    """The sum of counts per node."""
    table = unpack(list(blocks))
    node, inverse = np.unique(column(table, "node"), return_inverse=True)
    count = np.bincount(inverse, column(table, "count"), len(node)).astype(np.int64)
    return pack(pa.table({"node": node, "count": count}))


def _hot_nodes(counted: tuple[int, bytes], limit: int) -> Iterator[bytes]:
    """(node, number of groups) of the nodes above the limit."""
    table = unpack([counted[1]])
    groups = -(-column(table, "count") // limit)
    if (groups > 1).any():
        Metrics.counter(COUNTER_NAMESPACE, "hot_nodes").inc(int((groups > 1).sum()))
        yield pack(pa.table({"node": column(table, "node")[groups > 1], "groups": groups[groups > 1]}))


def _groups_of(node: np.ndarray, hot: list[bytes]) -> np.ndarray:
    """Number of groups of each node; int64 [n]."""
    if not hot:
        return np.ones(len(node), np.int64)
    table = unpack(hot)
    order = np.argsort(column(table, "node"))
    keys, groups = column(table, "node")[order], column(table, "groups")[order]
    place = np.minimum(np.searchsorted(keys, node), len(keys) - 1)
    return np.where(keys[place] == node, groups[place], 1)


@beam.typehints.with_input_types(bytes, list[bytes])
@beam.typehints.with_output_types(tuple[int, bytes])
class _AskingByGroup(beam.DoFn):
    def __init__(self, partitions: int, spread_by: tuple[str, ...]) -> None:
        self._partitions = partitions
        self._spread_by = spread_by

    def process(self, block: bytes, hot: list[bytes]) -> Iterator[tuple[int, bytes]]:
        table = unpack([block])
        node = column(table, "node")
        groups = _groups_of(node, hot)
        salt = np.zeros(len(node), np.int64)
        if (groups > 1).any():
            salt = partition_of(1 << 40, *(column(table, name) for name in self._spread_by)) % groups
        yield from split(table, partition_of(self._partitions, node) + self._partitions * salt)


@beam.typehints.with_input_types(bytes, list[bytes])
@beam.typehints.with_output_types(tuple[int, bytes])
class _KnownByGroup(beam.DoFn):
    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def process(self, block: bytes, hot: list[bytes]) -> Iterator[tuple[int, bytes]]:
        table = unpack([block])
        groups = _groups_of(column(table, "node"), hot)
        copied = table.take(pa.array(np.repeat(np.arange(len(groups)), groups)))
        salt = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
        yield from split(
            copied, partition_of(self._partitions, column(copied, "node")) + self._partitions * salt
        )
