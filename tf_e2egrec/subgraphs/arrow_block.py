"""Blocks of rows that travel between workers as bytes: Arrow record batches in IPC format."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.ids import hash_keys

_SEED = (
    0x756E69  # spreads rows over partitions; nothing in an output depends on it but which file a record is in
)


def pack(table: pa.Table) -> bytes:
    """The table as bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(blocks: Sequence[bytes]) -> pa.Table:
    """The rows of at least one block, one chunk per column."""
    return pa.concat_tables([pa.ipc.open_stream(block).read_all() for block in blocks]).combine_chunks()


def column(table: pa.Table, name: str) -> np.ndarray:
    """A numeric column as an array."""
    return np.ascontiguousarray(table.column(name).to_numpy())


def partition_of(partitions: int, *keys: np.ndarray) -> np.ndarray:
    """The partition of each row; int64 [n]."""
    return (hash_keys(_SEED, *keys) % np.uint64(partitions)).astype(np.int64)


def split(table: pa.Table, partition: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """(partition, its rows) of every partition that has rows.

    Args:
      table: n rows.
      partition: int64 [n].
    """
    order = np.argsort(partition, kind="stable")
    numbers, first = np.unique(partition[order], return_index=True)
    ordered = table.take(pa.array(order))
    for number, start, end in zip(numbers, first, [*first[1:], len(order)], strict=True):
        yield int(number), pack(ordered.slice(start, end - start))
