"""`HeterogeneousSample`: the subgraphs sampled around n seeds."""

import dataclasses

import numpy as np

from tf_e2egrec.graph.sampled_edges import SampledEdges
from tf_e2egrec.graph.sampled_nodes import SampledNodes


@dataclasses.dataclass(frozen=True)
class HeterogeneousSample:
    """Subgraphs in the order of their seeds, ready for encoding.

    Attributes:
      seeds: int64 [n] keys; node 0 of the seeds' node set in each subgraph.
      nodes: by name of the node set.
      edges: by name of the edge set.
    """

    seeds: np.ndarray
    nodes: dict[str, SampledNodes]
    edges: dict[str, SampledEdges]

    def __len__(self) -> int:
        """Number of subgraphs."""
        return len(self.seeds)
