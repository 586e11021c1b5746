"""`SubgraphBatch`: impressions with their recent items and sampled neighbours, ready to be encoded."""

import dataclasses

import numpy as np

from tf_e2egrec.graph.neighbour_sample import NeighbourSample


@dataclasses.dataclass(frozen=True)
class SubgraphBatch:
    """n impressions that share h histories and a sample of s targets.

    Attributes:
      candidate: int64 [n] item keys.
      candidate_row: int64 [n] row of the candidate in `sample`, -1 without neighbours.
      user: int64 [n] user keys.
      history: int64 [n] row of the impression's recent items.
      history_indptr: int64 [h + 1].
      recent: int64 [m] item keys, newest first within a history.
      recent_row: int64 [m] row of the recent item in `sample`, -1 without neighbours.
      age: float32 [m] seconds (of ranks: share of the user's rows) before the impression.
      readout: float32 or int64 [n] for every feature of `_readout`, by name.
      sample: neighbours of candidates and recent items.
    """

    candidate: np.ndarray
    candidate_row: np.ndarray
    user: np.ndarray
    history: np.ndarray
    history_indptr: np.ndarray
    recent: np.ndarray
    recent_row: np.ndarray
    age: np.ndarray
    readout: dict[str, np.ndarray]
    sample: NeighbourSample

    def __len__(self) -> int:
        """Number of impressions."""
        return len(self.candidate)

    def node_and_edge_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """(recent items, upper bound of the swing edges) per impression; int64 [n] each."""
        counts = np.r_[self.sample.counts, 0]  # row -1 reads the appended zero
        recents = np.diff(self.history_indptr)
        before = np.r_[0, np.cumsum(counts[self.recent_row])]
        per_history = before[self.history_indptr[1:]] - before[self.history_indptr[:-1]]
        return recents[self.history], counts[self.candidate_row] + per_history[self.history]
