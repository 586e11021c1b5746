"""`NegativePools`: the items that negatives are drawn from, by time bucket."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.ids import KEY_BITS
from tf_e2egrec.graph.pool_plan import PoolPlan
from tf_e2egrec.graph.sketch import Sketch

_BUFFERED = 64  # sketches merged at once

SlotKey = tuple[int, int]  # (era, slot)


class NegativePools(beam.PTransform):
    """(partition, packed `EventBlock`) -> one packed `PoolTable`.

    Its size is bounded by buckets times `pool_size`, not by the data.

    Args:
      plan: windows, slots and the pools' size.
    """

    def __init__(self, plan: PoolPlan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, events: beam.PCollection[tuple[int, bytes]]) -> beam.PCollection[bytes]:
        """Events -> sketches of slots -> pools of windows."""
        return (
            events
            | "SlotSketches" >> beam.ParDo(_SlotSketches(self._plan))
            | "MergeSketches" >> beam.CombinePerKey(_MergeSketches(self._plan))
            | "AllSlots" >> beam.combiners.ToList()
            | "WindowPools" >> beam.ParDo(_WindowPools(self._plan))
        )


@beam.typehints.with_input_types(tuple[int, bytes])
@beam.typehints.with_output_types(tuple[SlotKey, bytes])
class _SlotSketches(beam.DoFn):
    def __init__(self, plan: PoolPlan) -> None:
        self._plan = plan

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[SlotKey, bytes]]:
        events = EventBlock.from_bytes(element[1])
        for key, sketch in self._plan.sketches(events, events.item >> KEY_BITS):
            yield key, sketch.to_bytes()


@beam.typehints.with_input_types(bytes)
@beam.typehints.with_output_types(bytes)
class _MergeSketches(beam.CombineFn):
    """Union of sketches of one slot; a few are collected before they are merged, because merging one by one is slow."""

    def __init__(self, plan: PoolPlan) -> None:
        self._plan = plan

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
        return [self._plan.merge([Sketch.from_bytes(packed) for packed in accumulator]).to_bytes()]

    def extract_output(self, accumulator: list[bytes]) -> bytes:
        return self.compact(accumulator)[0]


@beam.typehints.with_input_types(list[tuple[SlotKey, bytes]])
@beam.typehints.with_output_types(bytes)
class _WindowPools(beam.DoFn):
    def __init__(self, plan: PoolPlan) -> None:
        self._plan = plan

    def process(self, element: list[tuple[SlotKey, bytes]]) -> Iterator[bytes]:
        yield self._plan.pools({key: Sketch.from_bytes(packed) for key, packed in element}).to_bytes()
