"""`FilePlan`: which record file an impression goes to."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.split import SPLITS
from tf_e2egrec.dataset.time_axis import MS_PER_DAY, RANK_SCALE, parse_duration

RECORDS_PER_FILE = 100_000  # about 100-300 MB; aimed at, not guaranteed: files are cut by time


@dataclasses.dataclass(frozen=True)
class FilePlan:
    """Files in time order: one per split and time bucket, cut into equal spans of time where a bucket has many impressions.

    Attributes:
      length: of a bucket, `EventBlock.time` units: a day; of ranks, the larger of a tenth and the snapshots' refresh.
      per_file: impressions aimed at per file.
    """

    length: int
    per_file: int = RECORDS_PER_FILE

    @staticmethod
    def from_description(description: DatasetDescription) -> "FilePlan":
        """The plan for a description."""
        if not description.time_is_rank:
            return FilePlan(MS_PER_DAY)
        refresh = description.graph.snapshots.refresh
        tenth = RANK_SCALE // 10
        return FilePlan(
            tenth
            if refresh == "once"
            else max(tenth, parse_duration(refresh, "graph.snapshots.refresh", True))
        )

    def buckets(self, time: np.ndarray) -> np.ndarray:
        """Bucket of each moment; int64 [n]."""
        return np.asarray(time, np.int64) // self.length

    def files(
        self, split: np.ndarray, time: np.ndarray, counts: Mapping[tuple[int, int], int]
    ) -> tuple[np.ndarray, list[str]]:
        """The file of each impression.

        Args:
          split: int [n] split codes.
          time: int64 [n].
          counts: impressions by (split, bucket), over the whole data.

        Returns:
          (int64 [n] index in the list, file names relative to the artefact's directory).
        """
        bucket = self.buckets(time)
        pairs, inverse = np.unique(np.stack([split.astype(np.int64), bucket]), axis=1, return_inverse=True)
        parts = np.array([-(-counts.get((int(s), int(b)), 1) // self.per_file) for s, b in pairs.T], np.int64)
        parts = np.maximum(parts, 1)[inverse.reshape(-1)]
        sub = (time - bucket * self.length) * parts // self.length
        keys, index = np.unique(np.stack([split.astype(np.int64), bucket, sub]), axis=1, return_inverse=True)
        return index.reshape(-1), [
            f"{SPLITS[s]}/impressions-{b:012d}-{part:03d}.tfrecord" for s, b, part in keys.T
        ]
