"""`NeighbourSampler`: how many neighbours a candidate and a recent item get, and which."""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.sampling import sample_neighbours


@dataclasses.dataclass(frozen=True)
class NeighbourSampler:
    """Samples as a description says; the subgraphs stage and training from a neighbour table share it.

    Attributes:
      sampling: fanouts, exponent, top.
      seed: of the noise.
      deterministic: the heaviest neighbours (validation, test) instead of a sample (training).
    """

    sampling: SamplingSpec
    seed: int
    deterministic: bool

    @staticmethod
    def from_description(description: DatasetDescription, split: str) -> "NeighbourSampler":
        """The sampler of a split: only the training split is sampled at random."""
        return NeighbourSampler(description.graph.sampling, description.seed, split != "train")

    def of_candidates(self, table: NeighbourTable, keys: np.ndarray, epoch: int = 0) -> NeighbourSample:
        """Neighbours of candidates.

        Args:
          table: of the snapshot that serves them.
          keys: int64 [n] item keys.
          epoch: another number draws another sample; the records hold that of 0.
        """
        fanout = self.sampling.deterministic_fanout if self.deterministic else self.sampling.fanout
        return self._sample(table, keys, fanout, epoch)

    def of_recent_items(self, table: NeighbourTable, keys: np.ndarray, epoch: int = 0) -> NeighbourSample:
        """Neighbours of recent items; see `of_candidates`."""
        return self._sample(table, keys, self.sampling.recent_fanout, epoch)

    def _sample(self, table: NeighbourTable, keys: np.ndarray, fanout: int, epoch: int) -> NeighbourSample:
        if fanout == 0:
            return NeighbourSample.empty(len(keys))
        return sample_neighbours(
            table,
            keys,
            fanout,
            beta=self.sampling.beta,
            top=self.sampling.top,
            seed=self.seed,
            epoch=epoch,
            deterministic=self.deterministic,
        )
