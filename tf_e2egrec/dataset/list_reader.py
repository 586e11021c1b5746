"""Files of item lists: a line per user, `user item item ...`, as rows of (user, item, position)."""

import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

LIST_COLUMNS = ["user", "item", "position"]

_BYTES_PER_BLOCK = 16 << 20


def read_list_blocks(
    stream: BinaryIO, encoding: str, columns: Sequence[str] = LIST_COLUMNS
) -> Iterator[pa.Table]:
    """Read lines of a user's id and the ids of its items, separated by spaces.

    What follows a tab is left out, and so are lines without an item.

    Args:
      stream: the file's unpacked bytes.
      encoding: of the text.
      columns: names of the three columns.

    Yields:
      Tables of two string columns, user and item, and of an int64 column: the item's place in its line, from 0. A user's
      items are in one table.

    Example:
      >>> import io
      >>> next(read_list_blocks(io.BytesIO(b"7 30 10\\t0 60\\n8 20\\n"), "utf-8")).to_pydict()
      {'user': ['7', '7', '8'], 'item': ['30', '10', '20'], 'position': [0, 1, 0]}
    """
    while lines := stream.readlines(_BYTES_PER_BLOCK):
        lists = [line.decode(encoding).partition("\t")[0].split() for line in lines]
        counts = [max(len(one) - 1, 0) for one in lists]
        users = (one[:1] * count for one, count in zip(lists, counts, strict=True))
        arrays = [
            pa.array(itertools.chain.from_iterable(users), pa.string()),
            pa.array(itertools.chain.from_iterable(one[1:] for one in lists), pa.string()),
            pa.array(itertools.chain.from_iterable(map(range, counts)), pa.int64()),
        ]
        yield pa.table(arrays, names=list(columns))
