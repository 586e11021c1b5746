"""`SubgraphBuilder`: impressions in, framed records out."""

import collections
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.example_encoding import encode_subgraphs
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
from tf_e2egrec.subgraphs.record_layout import RecordLayout
from tf_e2egrec.subgraphs.subgraph_batch import SubgraphBatch

_OF_NEIGHBOURS = ("swing_edges", "isolated_candidates")  # counters
_TABLES_KEPT = 2  # impressions come in time order, so a snapshot is not needed again once the next one serves


@dataclasses.dataclass
class SubgraphBuilder:
    """Joins impressions with the snapshot that serves them, samples neighbours, encodes.

    Attributes:
      graph_dir: directory of the Swing stage.
      plan: of the snapshots.
      sampling: fanouts, exponent; where its `format` is `table`, the records have no neighbours.
      seed: of the sampling noise.
      layout: of the records.
    """

    graph_dir: str
    plan: SnapshotPlan
    sampling: SamplingSpec
    seed: int
    layout: RecordLayout

    def __post_init__(self) -> None:
        self._tables: collections.OrderedDict[int, NeighbourTable] = collections.OrderedDict()

    @staticmethod
    def from_description(description: DatasetDescription, graph_dir: str) -> "SubgraphBuilder":
        """The builder that a description asks for."""
        return SubgraphBuilder(
            graph_dir=graph_dir,
            plan=SnapshotPlan.from_description(description),
            sampling=description.graph.sampling,
            seed=description.seed,
            layout=RecordLayout.from_description(description),
        )

    def records(
        self, block: ImpressionBlock, deterministic: bool, counters: dict[str, int]
    ) -> Iterator[np.ndarray]:
        """Encode impressions in the order (time, impression id).

        Args:
          block: n impressions, in any order.
          deterministic: the heaviest neighbours (validation, test) instead of a sample (training).
          counters: receives `recent_items` and `without_snapshot` (older than the first snapshot); of records with neighbours
            `swing_edges` and `isolated_candidates` (without a neighbour), too.

        Yields:
          uint8 arrays that, one after the other, are the file.
        """
        block = block.take(np.lexsort([block.impression_id, block.time]))
        snapshots = self.plan.snapshot_at(block.time)
        bounds = np.flatnonzero(np.r_[True, snapshots[1:] != snapshots[:-1], True][: len(block) + 1])
        sampled = self.sampling.has_neighbours_in_records
        for start, end in itertools.pairwise(bounds):
            part = block if end - start == len(block) else block.take(np.arange(start, end))
            table = self._table(int(snapshots[start])) if sampled else NeighbourTable.empty()
            batch = self._batch(part, table, deterministic)
            counted = {
                "recent_items": int(np.diff(part.history_indptr)[part.history].sum()),
                "without_snapshot": len(part) if snapshots[start] < 0 else 0,
                "swing_edges": 0,
                "isolated_candidates": int((batch.sample.counts[batch.candidate_row] == 0).sum()),
            }
            for chunk, edges in encode_subgraphs(batch, self.layout):
                counted["swing_edges"] += int(edges.sum())
                yield chunk
            for name, value in counted.items():
                if sampled or name not in _OF_NEIGHBOURS:
                    counters[name] = counters.get(name, 0) + value

    def _batch(self, block: ImpressionBlock, table: NeighbourTable, deterministic: bool) -> SubgraphBatch:
        candidates, candidate_row = np.unique(block.item, return_inverse=True)
        recents, recent_row = np.unique(block.recent, return_inverse=True)
        sampler = NeighbourSampler(self.sampling, self.seed, deterministic)
        sample = NeighbourSample.concatenate(
            [sampler.of_candidates(table, candidates), sampler.of_recent_items(table, recents)]
        )
        readout = {
            name: getattr(block, name)
            for name in ("reward", "stay", "content_duration", "time", "impression_id")
        }
        return SubgraphBatch(
            candidate=block.item,
            candidate_row=candidate_row.astype(np.int64),
            user=block.user,
            history=block.history,
            history_indptr=block.history_indptr,
            recent=block.recent,
            recent_row=(recent_row + len(candidates)).astype(np.int64),
            age=block.age,
            readout=readout | {"user_id": block.user, "item_id": block.item} | block.context,
            sample=sample,
        )

    def _table(self, snapshot: int) -> NeighbourTable:
        if snapshot < 0:
            return NeighbourTable.empty()
        if snapshot not in self._tables:
            self._tables[snapshot] = NeighbourTable.load(self.graph_dir, snapshot)
            while len(self._tables) > _TABLES_KEPT:
                self._tables.popitem(last=False)
        return self._tables[snapshot]
