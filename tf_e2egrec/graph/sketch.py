"""`Sketch`: a uniform sample that merges."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sketch:
    """The k events (or items) of smallest hash: a uniform sample that merges.

    Attributes:
      hashes: uint64 [k] ascending.
      items: int64 [k].
    """

    hashes: np.ndarray
    items: np.ndarray

    def to_bytes(self) -> bytes:
        """Pack for a shuffle."""
        return self.hashes.tobytes() + self.items.tobytes()

    @staticmethod
    def from_bytes(packed: bytes) -> "Sketch":
        """Unpack what `to_bytes` wrote."""
        half = len(packed) // 2
        return Sketch(np.frombuffer(packed[:half], np.uint64), np.frombuffer(packed[half:], np.int64))
