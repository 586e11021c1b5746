"""`EdgeTable`: edges with features, in columns."""

import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_FEATURE_PREFIX = "feature/"


@dataclasses.dataclass(frozen=True)
class EdgeTable:
    """m edges as arrays of equal length.

    Attributes:
      source: int64 [m] node keys.
      target: int64 [m] node keys.
      features: float32 or int64 [m], by name.
    """

    source: np.ndarray
    target: np.ndarray
    features: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.source)

    def take(self, rows: np.ndarray | slice) -> "EdgeTable":
        """The edges selected by an index, a boolean array or a slice, in that order."""
        features = {name: values[rows] for name, values in self.features.items()}
        return EdgeTable(self.source[rows], self.target[rows], features)

    def sorted(self) -> "EdgeTable":
        """Edges in order of (target, source)."""
        return self.take(np.lexsort([self.source, self.target]))

    def pieces(self, most_rows: int) -> Iterator["EdgeTable"]:
        """The table cut into pieces of at most `most_rows` edges; none of an empty table."""
        for start in range(0, len(self), most_rows):
            yield self.take(slice(start, start + most_rows))

    @staticmethod
    def concatenate(tables: Sequence["EdgeTable"]) -> "EdgeTable":
        """One table out of at least one that have the same features."""
        return EdgeTable(
            np.concatenate([table.source for table in tables]),
            np.concatenate([table.target for table in tables]),
            {name: np.concatenate([table.features[name] for table in tables]) for name in tables[0].features},
        )

    def to_bytes(self) -> bytes:
        """Pack the table for a shuffle; `from_bytes` is the inverse."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {_FEATURE_PREFIX + name: values for name, values in self.features.items()}
        np.savez(buffer, source=self.source, target=self.target, **arrays)
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "EdgeTable":
        """Unpack what `to_bytes` wrote."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            features = {
                name.removeprefix(_FEATURE_PREFIX): arrays[name]
                for name in arrays.files
                if name.startswith(_FEATURE_PREFIX)
            }
            return EdgeTable(arrays["source"], arrays["target"], features)
