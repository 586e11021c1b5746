"""`NodeTable`: what is known about items or users, one row per key."""

import dataclasses
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.errors import E2EGRecError

_FEATURE_PREFIX = "feature/"
_OPTIONAL = ("first_seen", "train_count")


@dataclasses.dataclass(frozen=True)
class NodeTable:
    """Features of n nodes, sorted by key.

    Attributes:
      key: int64 [n], strictly increasing; item keys include the domain.
      id: str [n], the id as the data had it.
      features: by name: categorical int64 [n], or [n, max_values] padded with -1; numeric float32 [n]; dense
        float32 [n, dimension]. Missing values are -1, NaN and zeros.
      first_seen: int64 [n], time of the first event in the logs; None until the logs were read.
      train_count: int64 [n], events in the training period; None until the logs were read.
    """

    key: np.ndarray
    id: np.ndarray
    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    first_seen: np.ndarray | None = None
    train_count: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.key)

    def lookup(self, keys: np.ndarray) -> np.ndarray:
        """Rows of keys; int64 of the shape of `keys`, -1 where a key is not in the table."""
        keys = np.asarray(keys, np.int64)
        if len(self) == 0:
            return np.full(keys.shape, -1, np.int64)
        rows = np.minimum(np.searchsorted(self.key, keys), len(self) - 1)
        return np.where(self.key[rows] == keys, rows, -1)

    def with_keys(self, keys: np.ndarray) -> "NodeTable":
        """A table that has these keys, too; the new ones have missing features and their number as id.

        `first_seen` and `train_count` are left out: they have no value for new keys.
        """
        keys = np.asarray(keys, np.int64)
        new = np.unique(keys[(self.lookup(keys) < 0) & (keys != MISSING_KEY)])
        order = np.argsort(np.concatenate([self.key, new]), kind="stable")
        return NodeTable(
            key=np.concatenate([self.key, new])[order],
            id=np.concatenate([self.id, new.astype(str)])[order],
            features={
                name: np.concatenate([values, missing_values(values, len(new))])[order]
                for name, values in self.features.items()
            },
        )

    def write_parquet(self, path: str | Path | BinaryIO) -> None:
        """Write the table; `read_parquet` is the inverse. Vectors become lists of fixed size."""
        columns = {"key": pa.array(self.key), "id": pa.array(self.id.tolist(), pa.string())}
        for name in _OPTIONAL:
            values = getattr(self, name)
            if values is not None:
                columns[name] = pa.array(values)
        for name, values in self.features.items():
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            column = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
            columns[_FEATURE_PREFIX + name] = column
        pq.write_table(pa.table(columns), path, write_page_checksum=True)

    @staticmethod
    def read_parquet(path: str | Path | BinaryIO) -> "NodeTable":
        """Read what `write_parquet` wrote.

        Raises:
          E2EGRecError: the file is missing or is no node table.
        """
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            columns = {name: _to_numpy(table.column(name)) for name in table.column_names}
            return NodeTable(
                key=columns["key"],
                id=columns["id"].astype(str),
                features={
                    name.removeprefix(_FEATURE_PREFIX): values
                    for name, values in columns.items()
                    if name.startswith(_FEATURE_PREFIX)
                },
                first_seen=columns.get("first_seen"),
                train_count=columns.get("train_count"),
            )
        except (OSError, pa.ArrowException, KeyError) as error:
            raise E2EGRecError(f"{path} is not a node table; make it again ({error})") from None


def missing_values(like: np.ndarray, rows: int) -> np.ndarray:
    """Missing values of a feature; [rows, ...] of the dtype and width of `like`."""
    missing = MISSING_KEY if like.dtype == np.int64 else np.nan if like.ndim == 1 else 0.0
    return np.full((rows, *like.shape[1:]), missing, like.dtype)


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        dtype = column.type.value_type.to_pandas_dtype()
        return np.concatenate([np.zeros(0, dtype), *flat]).reshape(-1, column.type.list_size)
    return column.to_numpy()
