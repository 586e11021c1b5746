"""`NeighbourTables`: the neighbour table of every snapshot that serves an impression."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import apache_beam as beam
import numpy as np

from beam_pipelines.progress import advance
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.snapshot_tables import table_file, write_table


class NeighbourTables(beam.PTransform):
    """(file name, packed `ImpressionBlock`) -> one JSON object per table: `file`, `snapshot`, `items`, `edges`, `bytes` and `digest`,
    that of the window behind the snapshot.

    Snapshots without edges have no table.

    Args:
      graph_dir: directory of the Swing stage; every worker must reach it.
      directory: of the artefact; every worker must reach it.
      plan: of the snapshots.
      top: the heaviest neighbours kept per item.
      windows: snapshot -> digest of its window.
      known: file -> the JSON object of an older artefact; where the digest is still the same, the object is passed on and no file is
        written.
    """

    def __init__(
        self,
        graph_dir: str,
        directory: str,
        plan: SnapshotPlan,
        top: int,
        windows: Mapping[int, str],
        known: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._files = _TableFiles(graph_dir, directory, top, dict(windows), dict(known or {}))

    def expand(self, impressions: beam.PCollection[tuple[str, bytes]]) -> beam.PCollection[str]:
        """Impressions -> tables."""
        return (
            impressions
            | "SnapshotsOfParts" >> beam.ParDo(_SnapshotsOfParts(self._plan))
            | "Snapshots" >> beam.CombinePerKey(sum).with_input_types(tuple[int, int])
            | "TableFiles" >> beam.ParDo(self._files)
        )


@beam.typehints.with_input_types(tuple[str, bytes])
@beam.typehints.with_output_types(tuple[int, int])
class _SnapshotsOfParts(beam.DoFn):
    """(file, packed impressions) -> (snapshot, how many of them it serves)."""

    def __init__(self, plan: SnapshotPlan) -> None:
        self._plan = plan

    def process(self, element: tuple[str, bytes]) -> Iterator[tuple[int, int]]:
        serving = self._plan.snapshot_at(ImpressionBlock.from_bytes(element[1]).time)
        for snapshot, count in zip(*np.unique(serving[serving >= 0], return_counts=True), strict=True):
            yield int(snapshot), int(count)


@beam.typehints.with_input_types(tuple[int, int])
@beam.typehints.with_output_types(str)
class _TableFiles(beam.DoFn):
    def __init__(
        self, graph_dir: str, directory: str, top: int, windows: dict[int, str], known: dict[str, str]
    ) -> None:
        self._graph_dir = graph_dir
        self._directory = directory
        self._top = top
        self._windows = windows
        self._known = known

    def process(self, element: tuple[int, int]) -> Iterator[str]:
        snapshot, _ = element
        file, digest = table_file(snapshot), self._windows.get(snapshot, "")
        known = self._known.get(file)
        if known is not None and json.loads(known)["digest"] == digest:
            yield known
            return
        table = NeighbourTable.load(self._graph_dir, snapshot).truncate(self._top)
        if not len(table):
            return
        size = write_table(table, Path(self._directory) / file)
        advance("neighbour tables")
        counted = {"items": len(table), "edges": len(table.neighbours), "bytes": size}
        yield json.dumps({"file": file, "snapshot": snapshot} | counted | {"digest": digest})
