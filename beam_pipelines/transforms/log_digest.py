"""`LogDigest`: a log summed up by the snapshots that see its rows."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.window_digests import WindowDigests


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
        of_partitions = events | "DigestOfPartition" >> beam.ParDo(_OfPartition(self._plan))
        # A digest has an entry per snapshot, and there are few partitions: one worker can merge them.
        return (
            events.pipeline
            | "TheLog" >> beam.Create([b""])
            | "DigestOfLog" >> beam.Map(_merged, beam.pvalue.AsIter(of_partitions)).with_output_types(bytes)
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(bytes)
class _OfPartition(beam.DoFn):
    def __init__(self, plan: SnapshotPlan) -> None:
        self._plan = plan

    def process(self, element: tuple[int, bytes]) -> Iterator[bytes]:
        yield WindowDigests.of_events(EventBlock.from_bytes(element[1]), self._plan).to_bytes()


def _merged(_: bytes, digests: Iterable[bytes]) -> bytes:
    return WindowDigests.merged(WindowDigests.from_bytes(packed) for packed in digests).to_bytes()
