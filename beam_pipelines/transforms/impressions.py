"""`Impressions`: labelled impressions with recent items and sampled negatives, by record file."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipelines.progress import advance
from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.negative_pools import NegativePools
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.split import SPLITS, split_codes
from tf_e2egrec.graph.pool_plan import PoolPlan
from tf_e2egrec.graph.pool_table import PoolTable
from tf_e2egrec.subgraphs.file_plan import FilePlan
from tf_e2egrec.subgraphs.first_seen import FirstSeen
from tf_e2egrec.subgraphs.impressions import impressions_of
from tf_e2egrec.subgraphs.node_statistics import NodeStatistics

BucketKey = tuple[int, int]  # (split code, time bucket)
_MAX_ROWS = 50_000  # impressions per shuffled element: far below the 64 MB that runners choke on


class Impressions(beam.PTransform):
    """(partition, packed `EventBlock` of whole users) -> (file name, packed `ImpressionBlock`).

    Counters: `impressions_logged`, `positives`, `negatives`, `negatives_rejected`, `negatives_missing`, and
    `impressions_<split>`, `positives_<split>`.

    Args:
      description: the data set.
      files: which file an impression goes to.
      item_statistics: one packed `NodeStatistics`; an empty collection where no feature needs it.
    """

    def __init__(
        self, description: DatasetDescription, files: FilePlan, item_statistics: beam.PCollection[bytes]
    ) -> None:
        super().__init__()
        self._description = description
        self._files = files
        self._item_statistics = item_statistics

    def expand(self, events: beam.PCollection[tuple[int, bytes]]) -> beam.PCollection[tuple[str, bytes]]:
        """Events -> pools of negatives, impressions per file -> impressions."""
        description = self._description
        counts = (
            events
            | "BucketCounts" >> beam.ParDo(_BucketCounts(description, self._files))
            | "SumCounts" >> beam.CombinePerKey(sum)
        )
        if description.ranker.negatives is not None:
            pools = events | "NegativePools" >> NegativePools(PoolPlan.from_description(description))
        else:
            pools = events.pipeline | "NoPools" >> beam.Create([], reshuffle=False).with_output_types(bytes)
        if "item_age" in description.ranker.derived:
            seen = self._item_statistics
        else:
            seen = events.pipeline | "NoItems" >> beam.Create([], reshuffle=False).with_output_types(bytes)
        return events | "Impressions" >> beam.ParDo(
            _Impressions(description, self._files),
            beam.pvalue.AsDict(counts),
            beam.pvalue.AsList(pools),
            beam.pvalue.AsList(seen),
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(tuple[BucketKey, int])
class _BucketCounts(beam.DoFn):
    """Impressions per (split, time bucket), as many negatives as asked for included."""

    def __init__(self, description: DatasetDescription, files: FilePlan) -> None:
        self._description = description
        self._files = files

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[BucketKey, int]]:
        events = EventBlock.from_bytes(element[1])
        codes = split_codes(events, self._description)
        rows = codes >= 0
        pairs = np.stack([codes[rows].astype(np.int64), self._files.buckets(events.time[rows])])
        weight = np.ones(int(rows.sum()), np.int64)
        if self._description.ranker.negatives is not None:
            reward = 1 << self._description.behaviour_names.index(self._description.ranker.reward)
            is_positive = (events.behaviours[rows] & np.uint32(reward)) > 0
            weight += is_positive * self._description.ranker.negatives.per_positive
        keys, inverse = np.unique(pairs, axis=1, return_inverse=True)
        sums = np.bincount(inverse.reshape(-1), weights=weight, minlength=keys.shape[1])
        for (split, bucket), count in zip(keys.T, sums, strict=True):
            yield (int(split), int(bucket)), int(count)


class _Impressions(beam.DoFn):
    """Whole users -> (file name, packed impressions)."""

    def __init__(self, description: DatasetDescription, files: FilePlan) -> None:
        self._description = description
        self._files = files

    def process(
        self, element: tuple[int, bytes], counts: dict[BucketKey, int], pools: list[bytes], seen: list[bytes]
    ) -> Iterator[tuple[str, bytes]]:
        events = EventBlock.from_bytes(element[1])
        pool_table = PoolTable.from_bytes(pools[0]) if pools else None
        first_seen = _first_seen(seen[0]) if seen else None
        block, codes, counters = impressions_of(events, self._description, pool_table, first_seen)
        advance("impressions", len(block))
        for code, split in enumerate(SPLITS):
            counters[f"impressions_{split}"] = int((codes == code).sum())
            counters[f"positives_{split}"] = int((block.reward[codes == code] > 0).sum())
        for name, value in counters.items():
            Metrics.counter(COUNTER_NAMESPACE, name).inc(value)
        index, names = self._files.files(codes, block.time, counts)
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index[order], np.arange(len(names) + 1))
        for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True):
            for first in range(start, end, _MAX_ROWS):
                yield name, block.take(order[first : min(first + _MAX_ROWS, end)]).to_bytes()


def _first_seen(packed: bytes) -> FirstSeen:
    statistics = NodeStatistics.from_bytes(packed)
    return FirstSeen(statistics.key, statistics.first_seen)
