"""`UnigraphReport`: what the files of a heterogeneous graph hold, in one small file for the launcher."""

import functools
import json
from pathlib import Path

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from beam_pipelines.transforms.event_pieces import PieceKey
from beam_pipelines.written_file import write_whole
from tf_e2egrec.graph.degree_histogram import DegreeHistogram
from tf_e2egrec.graph.unigraph_statistics import UnigraphStatistics


class UnigraphReport(beam.PTransform):
    """JSON objects per file, degree histograms -> a file; `read_unigraph_report` reads it.

    Args:
      path: of the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    @no_annotations  # Beam knows no tuples of collections
    def expand(
        self,
        parts: tuple[beam.PCollection[str], beam.PCollection[str], beam.PCollection[tuple[PieceKey, bytes]]],
    ) -> beam.PCollection[None]:
        """Files of edges, files of nodes, histograms -> the report."""
        edges, nodes, histograms = parts
        texts = histograms | "AsText" >> beam.Map(_as_text).with_output_types(str)
        return (
            (edges, nodes, texts)
            | "AllParts" >> beam.Flatten()
            | "OneList" >> beam.combiners.ToList()
            | "Content" >> beam.Map(_content).with_output_types(bytes)
            | "ReportFile" >> beam.Map(functools.partial(write_whole, self._path))
        )


def read_unigraph_report(path: Path) -> UnigraphStatistics:
    """Read what `UnigraphReport` wrote."""
    records: dict[str, int] = {}
    newest: dict[str, int] = {}
    degrees = {}
    for part in json.loads(path.read_text(encoding="utf-8")):
        if "histogram" in part:
            degrees[part["node_set"], part["side"]] = DegreeHistogram.from_bytes(
                bytes.fromhex(part["histogram"])
            )
            continue
        name = part["set"]
        records[name] = records.get(name, 0) + part["records"]
        if part.get("newest_time") is not None:
            newest[name] = max(newest.get(name, part["newest_time"]), part["newest_time"])
    return UnigraphStatistics(records, newest, degrees)


def _as_text(element: tuple[PieceKey, bytes]) -> str:
    (node_set, side), packed = element
    return json.dumps({"node_set": node_set, "side": side, "histogram": packed.hex()})


def _content(parts: list[str]) -> bytes:
    return ("[" + ",".join(sorted(parts)) + "]").encode()
