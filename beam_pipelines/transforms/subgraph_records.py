"""`SubgraphRecords`: impressions joined with their snapshot's neighbours and written as TFRecord files."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_pipelines.progress import advance
from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.record_digest import MODULUS, RecordDigest
from tf_e2egrec.subgraphs.subgraph_builder import SubgraphBuilder


class SubgraphRecords(beam.PTransform):
    """(file name, packed `ImpressionBlock`) -> one JSON object per file: `file`, `records`, `bytes`, `first_time`, `last_time`,
    `digest`, and the counters below.

    A file holds its impressions in the order (time, impression id). It is written under another name and renamed, so a retried or
    doubled attempt leaves the same file.

    Counters: `records`, `swing_edges`, `recent_items`, `isolated_candidates` (candidates without a neighbour), `without_snapshot`.

    Args:
      builder: samples and encodes.
      directory: where the files go; every worker must reach it.
      digest: of what a file is made from.
      known: file -> the JSON object of an older artefact; where the digest is still the same, the object is passed on and no file is
        written.
    """

    def __init__(
        self,
        builder: SubgraphBuilder,
        directory: str,
        digest: RecordDigest,
        known: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._files = _RecordFiles(builder, directory, digest)
        self._digest = digest
        self._known = dict(known or {})

    def expand(self, impressions: beam.PCollection[tuple[str, bytes]]) -> beam.PCollection[str]:
        """Impressions (of files that changed) -> files."""
        unchanged = None
        if self._known:
            files = (
                impressions
                | "PartDigests" >> beam.ParDo(_PartDigests(self._digest))
                | "FileDigests" >> beam.CombinePerKey(_sum_of_digests)
                | "UnchangedFiles" >> beam.ParDo(_UnchangedFiles(self._known))
            )
            unchanged = files | "TheirEntries" >> beam.Values()
            impressions = impressions | "OfChangedFiles" >> beam.ParDo(
                _OfChangedFiles(), beam.pvalue.AsDict(files)
            )
        written = impressions | "GroupByFile" >> beam.GroupByKey() | "RecordFiles" >> beam.ParDo(self._files)
        return written if unchanged is None else (written, unchanged) | "AllFiles" >> beam.Flatten()


@beam.typehints.with_input_types(tuple[str, bytes])
@beam.typehints.with_output_types(tuple[str, int])
class _PartDigests(beam.DoFn):
    """(file, packed impressions) -> (file, digest of the part)."""

    def __init__(self, digest: RecordDigest) -> None:
        self._digest = digest

    def process(self, element: tuple[str, bytes]) -> Iterator[tuple[str, int]]:
        yield element[0], self._digest.of(ImpressionBlock.from_bytes(element[1]))


def _sum_of_digests(digests: Iterable[int]) -> int:
    return sum(digests) % MODULUS


@beam.typehints.with_input_types(tuple[str, int])
@beam.typehints.with_output_types(tuple[str, str])
class _UnchangedFiles(beam.DoFn):
    """(file, digest) -> (file, its old JSON object), where the digest is the old one."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known

    def process(self, element: tuple[str, int]) -> Iterator[tuple[str, str]]:
        file, digest = element
        entry = self._known.get(file)
        if entry is not None and json.loads(entry)["digest"] == f"{digest:016x}":
            yield file, entry


@beam.typehints.with_input_types(tuple[str, bytes], dict[str, str])
@beam.typehints.with_output_types(tuple[str, bytes])
class _OfChangedFiles(beam.DoFn):
    """Leaves out the impressions of unchanged files."""

    def process(
        self, element: tuple[str, bytes], unchanged: Mapping[str, str]
    ) -> Iterator[tuple[str, bytes]]:
        if element[0] not in unchanged:
            yield element


@beam.typehints.with_input_types(tuple[str, Iterable[bytes]])
@beam.typehints.with_output_types(str)
class _RecordFiles(beam.DoFn):
    def __init__(self, builder: SubgraphBuilder, directory: str, digest: RecordDigest) -> None:
        self._builder = builder
        self._directory = directory
        self._digest = digest

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
        advance("records", len(block))
        for counter, value in counters.items():
            Metrics.counter(COUNTER_NAMESPACE, counter).inc(value)
        entry: dict[str, object] = {"file": name, "records": len(block), "bytes": written}
        entry |= {"first_time": int(block.time.min()), "last_time": int(block.time.max())}
        yield json.dumps(entry | {"digest": f"{self._digest.of(block):016x}"} | counters)
