"""`LogDigest`: a log summed up by the snapshots that see its rows."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.window_digests import WindowDigests

_BUFFERED = 16  # parts merged at once


class LogDigest(beam.PTransform):
    """(partition, packed `EventBlock` of whole users) -> one packed `WindowDigests`, also of an empty log.

    Args:
      plan: the snapshots.
    """

    def __init__(self, plan: SnapshotPlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, events: beam.PCollection[tuple[int, bytes]]) -> beam.PCollection[bytes]:
        """Events -> digests of a partition -> of the log."""
        return (
            events
            | "DigestOfPartition" >> beam.ParDo(_OfPartition(self._plan))
            | "DigestOfLog" >> beam.CombineGlobally(_Merge())
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(bytes)
class _OfPartition(beam.DoFn):
    def __init__(self, plan: SnapshotPlan) -> None:
        self._plan = plan

    def process(self, element: tuple[int, bytes]) -> Iterator[bytes]:
        yield WindowDigests.of_events(EventBlock.from_bytes(element[1]), self._plan).to_bytes()


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(bytes)
class _Merge(beam.CombineFn):
    def create_accumulator(self) -> list[bytes]:
        return []

    def add_input(self, accumulator: list[bytes], element: bytes) -> list[bytes]:
        accumulator.append(element)
        return [self._merged(accumulator)] if len(accumulator) >= _BUFFERED else accumulator

    def merge_accumulators(self, accumulators: Iterable[list[bytes]]) -> list[bytes]:
        return [self._merged([packed for accumulator in accumulators for packed in accumulator])]

    def extract_output(self, accumulator: list[bytes]) -> bytes:
        return self._merged(accumulator)

    def _merged(self, packed: list[bytes]) -> bytes:
        return WindowDigests.merged(WindowDigests.from_bytes(one) for one in packed).to_bytes()
