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
from tf_e2egrec.graph.sampling import sample_neighbours
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.example_encoding import encode_subgraphs
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.record_layout import RecordLayout
from tf_e2egrec.subgraphs.subgraph_batch import SubgraphBatch

_TABLES_KEPT = 2  # impressions come in time order, so a snapshot is not needed again once the next one serves


@dataclasses.dataclass
class SubgraphBuilder:
    """Joins impressions with the snapshot that serves them, samples neighbours, encodes.

    Attributes:
      graph_dir: directory of the Swing stage.
      plan: of the snapshots.
      sampling: fanouts, exponent.
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
          counters: receives `swing_edges`, `recent_items`, `isolated_candidates` (without a neighbour) and `without_snapshot`
            (older than the first snapshot).

        Yields:
          uint8 arrays that, one after the other, are the file.
        """
        block = block.take(np.lexsort([block.impression_id, block.time]))
        snapshots = self.plan.snapshot_at(block.time)
        bounds = np.flatnonzero(np.r_[True, snapshots[1:] != snapshots[:-1], True][: len(block) + 1])
        for name in ("swing_edges", "recent_items", "isolated_candidates", "without_snapshot"):
            counters.setdefault(name, 0)
        for start, end in itertools.pairwise(bounds):
            part = block if end - start == len(block) else block.take(np.arange(start, end))
            batch = self._batch(part, self._table(int(snapshots[start])), deterministic)
            for chunk, edges in encode_subgraphs(batch, self.layout):
                counters["swing_edges"] += int(edges.sum())
                yield chunk
            counters["recent_items"] += int(np.diff(part.history_indptr)[part.history].sum())
            counters["isolated_candidates"] += int((batch.sample.counts[batch.candidate_row] == 0).sum())
            counters["without_snapshot"] += len(part) if snapshots[start] < 0 else 0

    def _batch(self, block: ImpressionBlock, table: NeighbourTable, deterministic: bool) -> SubgraphBatch:
        candidates, candidate_row = np.unique(block.item, return_inverse=True)
        sample = self._sample(table, candidates, self.sampling.fanout, deterministic)
        recent_row = np.full(len(block.recent), -1, np.int64)
        if self.sampling.recent_fanout > 0:
            recents, inverse = np.unique(block.recent, return_inverse=True)
            of_recents = self._sample(table, recents, self.sampling.recent_fanout, deterministic)
            sample = NeighbourSample.concatenate([sample, of_recents])
            recent_row = (inverse + len(candidates)).astype(np.int64)
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
            recent_row=recent_row,
            age=block.age,
            readout=readout | {"user_id": block.user, "item_id": block.item} | block.context,
            sample=sample,
        )

    def _sample(
        self, table: NeighbourTable, targets: np.ndarray, fanout: int, deterministic: bool
    ) -> NeighbourSample:
        return sample_neighbours(
            table,
            targets,
            fanout,
            beta=self.sampling.beta,
            top=self.sampling.top,
            seed=self.seed,
            deterministic=deterministic,
        )

    def _table(self, snapshot: int) -> NeighbourTable:
        if snapshot < 0:
            return NeighbourTable.empty()
        if snapshot not in self._tables:
            self._tables[snapshot] = NeighbourTable.load(self.graph_dir, snapshot)
            while len(self._tables) > _TABLES_KEPT:
                self._tables.popitem(last=False)
        return self._tables[snapshot]
