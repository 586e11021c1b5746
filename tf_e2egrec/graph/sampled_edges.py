"""`SampledEdges`: the edges of one edge set in each sampled subgraph."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SampledEdges:
    """Edges in compressed sparse rows, one row per subgraph, each edge once, by (target, source).

    Attributes:
      indptr: int64 [n + 1].
      source, target: int64 [m] numbers of the nodes within the subgraph's node set.
      weight: float32 [m].
      to_target: float32 [m] the share of this edge in the mean over a target's sources; None where no op followed the edge set in
        `incoming` direction, 0 on edges that only an outgoing op chose.
      to_source: the same for `outgoing` ops: its share in the mean over a source's targets.
      row: int64 [m], see `OpSample.row`.
    """

    indptr: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    to_target: np.ndarray | None
    to_source: np.ndarray | None
    row: np.ndarray
