"""`NeighbourSample`: the neighbours chosen for a list of targets."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class NeighbourSample:
    """Sampled edges in compressed sparse rows, one row per target.

    Attributes:
      indptr: int64 [n + 1].
      sources: int64 [m] neighbour keys, heaviest first within a target.
      weights: float32 [m] the edges' own weights.
      propagation_weights: float32 [m] p_uv of `Z_u = a_0 X_u + a_1 sum_v p_uv X_v`; they sum to 1 per target, except with an
        importance correction that is not self-normalised.
    """

    indptr: np.ndarray
    sources: np.ndarray
    weights: np.ndarray
    propagation_weights: np.ndarray

    def __len__(self) -> int:
        """Number of targets."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> np.ndarray:
        """Neighbours per target, int64 [n]."""
        return np.diff(self.indptr)

    @staticmethod
    def empty(targets: int) -> "NeighbourSample":
        """The sample of targets without neighbours."""
        none = np.zeros(0, np.float32)
        return NeighbourSample(np.zeros(targets + 1, np.int64), np.zeros(0, np.int64), none, none)

    def take(self, rows: np.ndarray) -> "NeighbourSample":
        """The targets selected by an index or boolean array, in that order."""
        counts = self.counts[rows]
        indptr = np.r_[0, np.cumsum(counts)].astype(np.int64)
        edges = np.repeat(self.indptr[:-1][rows] - indptr[:-1], counts) + np.arange(indptr[-1])
        return NeighbourSample(
            indptr, self.sources[edges], self.weights[edges], self.propagation_weights[edges]
        )

    @staticmethod
    def concatenate(samples: Sequence["NeighbourSample"]) -> "NeighbourSample":
        """The targets of the first sample, then those of the second, and so on."""
        counts = np.concatenate([sample.counts for sample in samples])
        return NeighbourSample(
            np.r_[0, np.cumsum(counts)].astype(np.int64),
            np.concatenate([sample.sources for sample in samples]),
            np.concatenate([sample.weights for sample in samples]),
            np.concatenate([sample.propagation_weights for sample in samples]),
        )
