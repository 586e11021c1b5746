"""`PoolTable`: the candidates for sampled negatives, by time bucket."""

import dataclasses
import io

import numpy as np


@dataclasses.dataclass(frozen=True)
class PoolTable:
    """One pool of items per time bucket.

    Attributes:
      every: length of a bucket, `EventBlock.time` units; bucket b is `[b * every, (b + 1) * every)`.
      buckets: int64 [b] sorted.
      indptr: int64 [b + 1].
      items: int64 [m] item keys; a popular item may stand in a pool several times.
    """

    every: int
    buckets: np.ndarray
    indptr: np.ndarray
    items: np.ndarray

    def ranges(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[start, end) in `items` of the pool that serves each moment; empty ranges where there is none. int64 [n] each."""
        bucket = np.asarray(time, np.int64) // self.every
        if len(self.buckets) == 0:
            return np.zeros(len(bucket), np.int64), np.zeros(len(bucket), np.int64)
        row = np.minimum(np.searchsorted(self.buckets, bucket), len(self.buckets) - 1)
        known = self.buckets[row] == bucket
        return np.where(known, self.indptr[row], 0), np.where(known, self.indptr[row + 1], 0)

    def to_bytes(self) -> bytes:
        """Pack the table for a side input; `from_bytes` is the inverse."""
        buffer = io.BytesIO()
        np.savez(
            buffer, every=np.int64(self.every), buckets=self.buckets, indptr=self.indptr, items=self.items
        )
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "PoolTable":
        """Unpack what `to_bytes` wrote."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            return PoolTable(int(arrays["every"]), arrays["buckets"], arrays["indptr"], arrays["items"])
