"""`EdgeSetPlan`: one edge set of the heterogeneous graph."""

import dataclasses
from typing import Literal

import numpy as np

from tf_e2egrec.graph.edge_table import EdgeTable


@dataclasses.dataclass(frozen=True)
class EdgeSetPlan:
    """What an edge set is made of.

    Attributes:
      name: the edge set.
      kind: `swing` (neighbour -> item), `explicit` (user -> item) or `value` (item -> value of a feature).
      source: number of the source's node set.
      target: number of the target's node set.
      features: name -> `int64` or `float32`.
      behaviour: `explicit` only; the bit in `EventBlock.behaviours`.
    """

    name: str
    kind: Literal["swing", "explicit", "value"]
    source: int
    target: int
    features: dict[str, str]
    behaviour: int = -1

    def no_edges(self) -> EdgeTable:
        """A table of no edges with the set's features."""
        none = np.zeros(0, np.int64)
        return EdgeTable(none, none, {name: np.zeros(0, dtype) for name, dtype in self.features.items()})
