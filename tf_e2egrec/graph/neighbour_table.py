"""`NeighbourTable`: the weighted neighbours of every item of one graph snapshot."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.errors import E2EGRecError

_COLUMNS = ("source", "target", "weight")


@dataclasses.dataclass(frozen=True)
class NeighbourTable:
    """Edges in compressed sparse rows: row r holds the neighbours of `items[r]`, heaviest first, ties by key.

    Attributes:
      items: int64 [n] sorted keys of the items that have neighbours.
      indptr: int64 [n + 1]; row r is `indptr[r]:indptr[r + 1]`.
      neighbours: int64 [m] keys.
      weights: float32 [m] edge weights (the Swing score).
    """

    items: np.ndarray
    indptr: np.ndarray
    neighbours: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        """Number of items with neighbours."""
        return len(self.items)

    @staticmethod
    def empty() -> "NeighbourTable":
        """The table of a snapshot without edges."""
        none = np.zeros(0, np.int64)
        return NeighbourTable(none, np.zeros(1, np.int64), none, np.zeros(0, np.float32))

    @staticmethod
    def from_edges(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> "NeighbourTable":
        """Group edges by target, in any order.

        Args:
          source: int64 [m] neighbour keys.
          target: int64 [m] keys of the items whose neighbours they are.
          weight: float32 [m].
        """
        source, target = np.asarray(source, np.int64), np.asarray(target, np.int64)
        weight = np.asarray(weight, np.float32)
        order = np.lexsort([source, -weight, target])
        items, first = np.unique(target[order], return_index=True)
        indptr = np.r_[first, len(target)].astype(np.int64)
        return NeighbourTable(items, indptr, source[order], weight[order])

    @staticmethod
    def load(graph_dir: str | Path, snapshot: int) -> "NeighbourTable":
        """Read `edges/snapshot=<id>/*.parquet` of a graph directory; a snapshot without such a directory has no edges.

        Raises:
          E2EGRecError: a file has not the columns `source`, `target` (int64) and `weight` (float32).
        """
        files = sorted((Path(graph_dir) / "edges" / f"snapshot={snapshot}").glob("*.parquet"))
        if not files:
            return NeighbourTable.empty()
        edges = pa.concat_tables([_read_edges(file) for file in files])
        return NeighbourTable.from_edges(*(edges.column(name).to_numpy() for name in _COLUMNS))

    def targets_of(self, edges: np.ndarray) -> np.ndarray:
        """The items whose neighbours stand at places `edges` of `neighbours`; int64, shape of `edges`."""
        return self.items[np.searchsorted(self.indptr, edges, side="right") - 1]

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """Row of each key, -1 for items without neighbours; int64, shape of `keys`."""
        keys = np.asarray(keys, np.int64)
        if len(self.items) == 0:
            return np.full(keys.shape, -1, np.int64)
        row = np.minimum(np.searchsorted(self.items, keys), len(self.items) - 1)
        return np.where(self.items[row] == keys, row, -1)

    def truncate(self, top: int) -> "NeighbourTable":
        """The table with the `top` heaviest neighbours of each item."""
        count = np.diff(self.indptr)
        if not len(count) or count.max() <= top:
            return self
        position = np.arange(len(self.neighbours)) - np.repeat(self.indptr[:-1], count)
        kept = position < top
        indptr = np.r_[0, np.cumsum(np.minimum(count, top))].astype(np.int64)
        return NeighbourTable(self.items, indptr, self.neighbours[kept], self.weights[kept])


def _read_edges(file: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(file, page_checksum_verification=True).read(columns=list(_COLUMNS))
        return table.select(_COLUMNS)  # which misses a column where `read` does not
    except (KeyError, OSError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise E2EGRecError(f"the edges in {file} are damaged ({said}); run `e2egrec swing --force`") from None
