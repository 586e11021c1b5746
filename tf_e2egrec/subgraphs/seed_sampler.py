"""`SeedSampler`: the neighbours of a batch of impressions, from neighbour tables."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables


class SampledSeeds(NamedTuple):
    """The distinct seeds of a batch, in order of first mention, and their neighbours.

    Attributes:
      key: int64 [S] item keys.
      seed_of_place: int32 [P] row of each place's seed.
      source: int64 [E] neighbour keys.
      target: int32 [E] sorted rows of the seeds whose neighbours they are.
      weight, propagation_weight: float32 [E].
    """

    key: np.ndarray
    seed_of_place: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    propagation_weight: np.ndarray


@dataclasses.dataclass(frozen=True)
class SeedSampler:
    """Finds the snapshot that serves each impression and samples from its table.

    Candidates and recent items (the *places* of a batch) that share item, snapshot and fanout share a seed: the sample of a seed
    depends on nothing else, so they would have the same neighbours.

    Attributes:
      tables: neighbour table by snapshot, -1 (none yet) included; `SnapshotTables`.
      plan: of the snapshots.
      sampler: what is sampled.
    """

    tables: Mapping[int, NeighbourTable] | SnapshotTables
    plan: SnapshotPlan
    sampler: NeighbourSampler

    def __call__(
        self, place: np.ndarray, places: np.ndarray, time: np.ndarray, epoch: np.ndarray | int
    ) -> SampledSeeds:
        """Sample the neighbours of a batch.

        Args:
          place: int64 [P] item keys; of each impression the candidate, then its recent items.
          places: int [B] how many of each impression.
          time: int64 [B] of the impressions.
          epoch: another number draws another sample; the records hold that of 0.
        """
        is_recent = np.ones(len(place), np.int64)
        is_recent[np.cumsum(places) - places] = 0
        group = 2 * np.repeat(self.plan.snapshot_at(time), places) + is_recent
        order = np.lexsort([place, group])  # stable: of equal places, the first mentioned comes first
        ordered_key, ordered_group = place[order], group[order]
        is_new = np.ones(len(place), bool)
        is_new[1:] = (np.diff(ordered_key) != 0) | (np.diff(ordered_group) != 0)
        first = order[is_new]
        by_mention = np.argsort(first)
        rank = np.empty(len(first), np.int32)
        rank[by_mention] = np.arange(len(first), dtype=np.int32)
        seed_of_place = np.empty(len(place), np.int32)
        seed_of_place[order] = rank[np.cumsum(is_new) - 1]
        sample = self._sample(place[first], group[first], int(epoch)).take(by_mention)
        return SampledSeeds(
            key=place[first[by_mention]],
            seed_of_place=seed_of_place,
            source=sample.sources,
            target=np.repeat(np.arange(len(sample), dtype=np.int32), sample.counts),
            weight=sample.weights,
            propagation_weight=sample.propagation_weights,
        )

    def _sample(self, keys: np.ndarray, group: np.ndarray, epoch: int) -> NeighbourSample:
        """Neighbours of seeds that are sorted by group (twice the snapshot, plus one for recent items)."""
        samples = [NeighbourSample.empty(0)]
        groups, starts = np.unique(group, return_index=True)
        for number, (start, end) in zip(groups, itertools.pairwise([*starts, len(keys)]), strict=True):
            table = self.tables[int(number) >> 1]
            of_group = self.sampler.of_recent_items if number & 1 else self.sampler.of_candidates
            samples.append(of_group(table, keys[start:end], epoch))
        return NeighbourSample.concatenate(samples)
