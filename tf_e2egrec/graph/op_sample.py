"""`OpSample`: the edges that one op of a sampling plan chose."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class OpSample:
    """One row per chosen edge, in any order.

    Attributes:
      example: int64 [m] number of the seed around which the edge was met.
      node: int64 [m] key of the node that the op started from.
      neighbour: int64 [m] key of the node it arrived at.
      weight: float32 [m].
      propagation_weight: float32 [m]; they belong to the sum over the neighbours of `node`.
      row: int64 [m] whatever the caller calls the edge (its row in the adjacency table, for a start).
    """

    example: np.ndarray
    node: np.ndarray
    neighbour: np.ndarray
    weight: np.ndarray
    propagation_weight: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.example)
