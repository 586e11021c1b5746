"""`SubgraphRecords`: impressions joined with their snapshot's neighbours and written as TFRecord files."""

import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.subgraph_builder import SubgraphBuilder


class SubgraphRecords(beam.PTransform):
    """(file name, packed `ImpressionBlock`) -> one JSON object per file written.

    A file holds its impressions in the order (time, impression id). It is written under another name and renamed, so a retried or
    doubled attempt leaves the same file.

    Counters: `records`, `swing_edges`, `recent_items`, `isolated_candidates` (candidates without a neighbour), `without_snapshot`.

    Args:
      builder: samples and encodes.
      directory: where the files go; every worker must reach it.
    """

    def __init__(self, builder: SubgraphBuilder, directory: str) -> None:
        super().__init__()
        self._builder = builder
        self._directory = directory

    def expand(self, impressions: beam.PCollection[tuple[str, bytes]]) -> beam.PCollection[str]:
        """Impressions -> files."""
        return (
            impressions
            | "GroupByFile" >> beam.GroupByKey()
            | "RecordFiles" >> beam.ParDo(_RecordFiles(self._builder, self._directory))
        )


@beam.typehints.with_input_types(tuple[str, Iterable[bytes]])
@beam.typehints.with_output_types(str)
class _RecordFiles(beam.DoFn):
    def __init__(self, builder: SubgraphBuilder, directory: str) -> None:
        self._builder = builder
        self._directory = directory

    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[str]:
        name, packed = element
        block = ImpressionBlock.concatenate([ImpressionBlock.from_bytes(one) for one in packed])
        split = name.split("/")[0]
        counters = {"records": len(block)}
        path = Path(self._directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        written = 0
        try:
            with temporary.open("wb") as file:
                for chunk in self._builder.records(block, split != "train", counters):
                    written += file.write(chunk)  # type: ignore[arg-type]
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for counter, value in counters.items():
            Metrics.counter(COUNTER_NAMESPACE, counter).inc(value)
        first, last = int(block.time.min()), int(block.time.max())
        yield json.dumps(
            {"file": name, "records": len(block), "bytes": written, "first_time": first, "last_time": last}
        )
