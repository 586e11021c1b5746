"""`DegreeHistogram`: how many nodes have how many edges."""

import dataclasses
from collections.abc import Iterable

import numpy as np

QUANTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclasses.dataclass(frozen=True)
class DegreeHistogram:
    """A count of nodes per degree; histograms of disjoint sets of nodes merge exactly.

    Attributes:
      degree: int64 [k] strictly increasing.
      nodes: int64 [k] positive.
    """

    degree: np.ndarray
    nodes: np.ndarray

    @staticmethod
    def of(degrees: np.ndarray) -> "DegreeHistogram":
        """Histogram of the degrees of nodes, int64 [n]."""
        degree, nodes = np.unique(np.asarray(degrees, np.int64), return_counts=True)
        return DegreeHistogram(degree, nodes.astype(np.int64))

    @staticmethod
    def merged(parts: Iterable["DegreeHistogram"]) -> "DegreeHistogram":
        """Histogram of the nodes of all parts."""
        parts = [DegreeHistogram.of(np.zeros(0, np.int64)), *parts]
        degree, index = np.unique(np.concatenate([part.degree for part in parts]), return_inverse=True)
        nodes = np.zeros(len(degree), np.int64)
        np.add.at(nodes, index.reshape(-1), np.concatenate([part.nodes for part in parts]))
        return DegreeHistogram(degree, nodes)

    @property
    def total(self) -> int:
        """Number of nodes."""
        return int(self.nodes.sum())

    @property
    def isolated(self) -> int:
        """Number of nodes without an edge."""
        return int(self.nodes[self.degree == 0].sum())

    def quantiles(self) -> dict[str, int]:
        """The smallest degree that a share of the nodes does not exceed, by name of the share; empty without nodes."""
        if self.total == 0:
            return {}
        below = np.cumsum(self.nodes)
        return {
            name: int(self.degree[np.searchsorted(below, max(share * self.total, 1))])
            for name, share in QUANTILES.items()
        }

    def summary(self) -> dict[str, int | float]:
        """Quantiles, and `isolated`: the share of nodes without an edge, 0 without nodes."""
        return {**self.quantiles(), "isolated": self.isolated / self.total if self.total else 0.0}

    def to_bytes(self) -> bytes:
        """Pack the histogram for a shuffle; `from_bytes` is the inverse."""
        return np.stack([self.degree, self.nodes]).astype("<i8").tobytes()

    @staticmethod
    def from_bytes(packed: bytes) -> "DegreeHistogram":
        """Unpack what `to_bytes` wrote."""
        return DegreeHistogram(*np.frombuffer(packed, "<i8").reshape(2, -1))
