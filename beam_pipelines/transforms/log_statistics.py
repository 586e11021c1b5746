"""`LogStatistics`: first appearance and training count of every item and user."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.subgraphs.node_statistics import NodeStatistics, training_rows

_BUFFERED = 16  # parts merged at once


class LogStatistics(beam.PTransform):
    """(partition, packed `EventBlock` of whole users) -> (`item` or `user`, packed `NodeStatistics`), one each.

    Args:
      description: says where the training period ends.
    """

    def __init__(self, description: DatasetDescription) -> None:
        super().__init__()
        self._description = description

    def expand(self, events: beam.PCollection[tuple[int, bytes]]) -> beam.PCollection[tuple[str, bytes]]:
        """Events -> statistics of a partition -> of the log."""
        return (
            events
            | "OfPartition" >> beam.ParDo(_OfPartition(self._description))
            | "OfLog" >> beam.CombinePerKey(_MergeStatistics())
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(tuple[str, bytes])
class _OfPartition(beam.DoFn):
    def __init__(self, description: DatasetDescription) -> None:
        self._description = description

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[str, bytes]]:
        events = EventBlock.from_bytes(element[1])
        is_training = training_rows(events, self._description)
        for name, key in (("item", events.item), ("user", events.user)):
            yield name, NodeStatistics.of_rows(key, events.time, is_training).to_bytes()


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(bytes)
class _MergeStatistics(beam.CombineFn):
    def create_accumulator(self) -> list[bytes]:
        return []

    def add_input(self, accumulator: list[bytes], element: bytes) -> list[bytes]:
        accumulator.append(element)
        return self.compact(accumulator) if len(accumulator) >= _BUFFERED else accumulator

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        return self.compact([packed for accumulator in accumulators for packed in accumulator])

    def compact(self, accumulator: list[bytes]) -> list[bytes]:
        if len(accumulator) < 2:
            return accumulator
        return [NodeStatistics.merged(NodeStatistics.from_bytes(packed) for packed in accumulator).to_bytes()]

    def extract_output(self, accumulator: list[bytes]) -> bytes:
        return self.compact(accumulator)[0]
