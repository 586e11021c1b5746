"""`SampledNodes`: the nodes of one node set in each sampled subgraph."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SampledNodes:
    """Nodes in compressed sparse rows, one row per subgraph, each node once.

    Attributes:
      indptr: int64 [n + 1].
      keys: int64 [m]; a subgraph's seed first, then by the op that arrived first, then by key.
    """

    indptr: np.ndarray
    keys: np.ndarray
