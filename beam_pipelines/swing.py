"""The swing stage: logs -> Swing edges, one set per graph snapshot.

    python -m beam_pipelines.swing --input DATASET.yaml [--data DIR] --output RUN_DIR/graph [Beam options]

Output: `edges/snapshot=<id>/shard-<n>.parquet` and `manifest.json`. Snapshots without edges have no
  directory.
Every worker must be able to write to the output directory.
"""

import functools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from beam_pipelines.control_graph import computed_for_control, write_control
from beam_pipelines.output_directory import require_mounted
from beam_pipelines.reuse import take_over
from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.stage_command import run_stage, stage_parser
from beam_pipelines.transforms.events_by_user import EventsByUser
from beam_pipelines.transforms.file_patterns import input_fingerprint, match_files
from beam_pipelines.transforms.log_digest import LogDigest
from beam_pipelines.transforms.swing_edges import SwingEdgeFiles
from beam_pipelines.transforms.swing_shard import NEWEST_EVENT_TIME
from beam_pipelines.written_file import write_whole
from tf_e2egrec.dataset.artefact import Manifest, fingerprint_of, publish, read_manifest, write_manifest
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing import available_cores
from tf_e2egrec.graph.window_digests import WindowDigests

STAGE = "swing"
_BYTES_PER_PARTITION = 8 << 20  # of compressed logs: some 600k events, 30 MB packed
_BYTES_PER_SHARD = 64 << 20  # a shard holds some millions of events, and repeats users of other shards
# Few shards get nearly every user each: two of them hold twice as much as one.
_BYTES_IN_ONE_SHARD = 256 << 20
_MOST_GROUPS = 4096
_DIGESTS = "windows.npz"

_log = logging.getLogger(__name__)


class SwingOptions(PipelineOptions):
    """Options of this stage among Beam's; none of them changes the edges."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument("--swing_shards", type=int, help="item shards; by the size of the logs if absent")
        parser.add_argument(
            "--swing_partitions", type=int, help="user partitions; by the size of the logs if absent"
        )
        parser.add_argument("--swing_threads", type=int, help="threads per worker; all cores if absent")


def run_swing(
    description: DatasetDescription,
    output: str | Path,
    beam_args: Sequence[str] = (),
    reuse: Path | None = None,
) -> Manifest:
    """Compute the Swing edges of every snapshot and publish them.

    Args:
      description: the data set.
      output: the artefact directory, RUN_DIR/graph; replaced when the stage succeeds, else left as it was.
      beam_args: Beam's options and those of `SwingOptions`.
      reuse: an artefact of this stage, made from the same description: its snapshots whose window holds the same rows are taken over,
        and its number of shards is kept. The counters then speak of the other snapshots, except `snapshots`, `snapshots_reused`,
        `snapshot_files` and `edges`.

    Returns:
      The manifest. `details`: `snapshots` (id -> `valid_from`, `edges`, `newest_event_time`),
      `newest_event_time` (of the whole log; None if there are no edges), `time_is_rank`, and `windows` (id of every snapshot that sees
      a row -> digest of these rows).

    Raises:
      E2EGRecError: the logs cannot be read, or hold no positive behaviour.
    """
    require_mounted(output)
    options = pipeline_options(beam_args)
    partitions, shards, threads = _groups(description, options)
    old = read_manifest(reuse, STAGE, "e2egrec swing") if reuse else None
    known = known_windows(old.details) if old else {}
    shards = old.counters.get("shards", shards) if old else shards
    plan = SnapshotPlan.from_description(description)
    configuration, inputs = swing_configuration(description), input_fingerprint(description)
    with publish(output) as staging:
        edges = (staging / "edges").resolve()
        pipeline = beam.Pipeline(options=options)
        events = pipeline | "EventsByUser" >> EventsByUser(description, partitions, for_graph=True)
        digests = events | "LogDigest" >> LogDigest(plan)
        _ = digests | "DigestFile" >> beam.Map(
            functools.partial(write_whole, str(staging.resolve() / _DIGESTS))
        )
        _ = events | "SwingEdgeFiles" >> SwingEdgeFiles(
            computed_for_control(description), str(edges), shards, threads, digests, known, partitions
        )
        counters = run_pipeline(pipeline)
        if not counters.get("positive_rows"):
            raise E2EGRecError(
                f"no row that feeds the graph has {' or '.join(description.graph.positive)}; "
                "check `graph.positive`, `graph.rows` and the `behaviours` of the logs"
            )
        written = WindowDigests.from_bytes((staging / _DIGESTS).read_bytes())
        (staging / _DIGESTS).unlink()
        windows = written.by_snapshot(plan)
        reused = _take_over_edges(reuse, edges, known, windows) if reuse else 0
        counters |= write_control(edges, description)
        snapshots = _snapshots_written(edges, plan)
        if not snapshots:
            _log.warning(
                "no two items share two users inside any snapshot's window: the graph has no Swing edges"
            )
        newest = [snapshot["newest_event_time"] for snapshot in snapshots.values()]
        manifest = Manifest(
            stage=STAGE,
            configuration=configuration,
            fingerprint=fingerprint_of(STAGE, configuration, inputs, None),
            inputs=inputs,
            newest_edge_time=max(newest, default=None),
            counters=counters
            | _totals(edges, snapshots)
            | {"shards": shards}
            | ({"snapshots_reused": reused} if reuse else {}),
            details={
                "snapshots": snapshots,
                "newest_event_time": written.newest_time if snapshots else None,
                "time_is_rank": description.time_is_rank,
                "windows": {str(snapshot): digest for snapshot, digest in windows.items()},
            },
        )
        write_manifest(staging, manifest)
    return manifest


def swing_configuration(description: DatasetDescription) -> dict[str, Any]:
    """The part of a description that the edges depend on."""
    graph = description.graph.model_dump(
        mode="json", by_alias=True, include={"regime", "rows", "positive", "edges", "snapshots", "swing"}
    )
    uses_labels_from = description.graph.snapshots.refresh == "once"
    return {
        "seed": description.seed,
        "interactions": [log.model_dump(mode="json", by_alias=True) for log in description.interactions],
        "ranker": {"rows": [rows.model_dump(mode="json", by_alias=True) for rows in description.ranker.rows]},
        "graph": graph,
        "split": {"labels_from": str(description.split.labels_from)} if uses_labels_from else {},
    }


def swing_fingerprint(description: DatasetDescription) -> str:
    """The fingerprint of the artefact that the stage makes from this description and these logs.

    Raises:
      E2EGRecError: a log does not exist.
    """
    return fingerprint_of(STAGE, swing_configuration(description), input_fingerprint(description), None)


def _groups(description: DatasetDescription, options: PipelineOptions) -> tuple[int, int, int]:
    """User partitions, item shards and threads per worker."""
    size = sum(
        file.size_in_bytes
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    )
    swing, direct = options.view_as(SwingOptions), options.view_as(DirectOptions)
    in_processes = direct.direct_running_mode == "multi_processing"
    workers = (direct.direct_num_workers or available_cores()) if in_processes else 1
    by_size = -(-size // _BYTES_PER_SHARD) if size > _BYTES_IN_ONE_SHARD else 1
    return (
        swing.swing_partitions or min(max(workers, -(-size // _BYTES_PER_PARTITION)), _MOST_GROUPS),
        swing.swing_shards or min(max(workers, by_size), _MOST_GROUPS),
        swing.swing_threads or max(1, available_cores() // workers),
    )


def known_windows(details: dict[str, Any]) -> dict[int, str]:
    """Digest of every window of an artefact, from its manifest; empty where it has none."""
    return {int(snapshot): digest for snapshot, digest in details.get("windows", {}).items()}


def _take_over_edges(older: Path, directory: Path, known: dict[int, str], windows: dict[int, str]) -> int:
    """Take the edge files of unchanged windows over; the number of such snapshots, those without edges included."""
    unchanged = [snapshot for snapshot, digest in windows.items() if known.get(snapshot) == digest]
    for snapshot in unchanged:
        for path in (older / "edges" / f"snapshot={snapshot}").glob("*.parquet"):
            take_over(path, directory / path.parent.name / path.name)
    return len(unchanged)


def _snapshots_written(directory: Path, plan: SnapshotPlan) -> dict[str, dict[str, int]]:
    """A record per snapshot with edges, from the footers of the edge files."""
    records: dict[int, dict[str, int]] = {}
    for path in directory.glob("snapshot=*/*.parquet"):
        snapshot = int(path.parent.name.removeprefix("snapshot="))
        try:
            footer = pq.read_metadata(path)
        except (OSError, pa.ArrowException):  # taken over from an older artefact
            raise E2EGRecError(
                f"the edges of {path.parent.name} are damaged; run `e2egrec swing --force`"
            ) from None
        newest = int(footer.metadata[NEWEST_EVENT_TIME])
        record = records.setdefault(
            snapshot, {"valid_from": plan.valid_from(snapshot), "edges": 0, "newest_event_time": newest}
        )
        record["edges"] += footer.num_rows
        record["newest_event_time"] = max(record["newest_event_time"], newest)
    return {str(snapshot): records[snapshot] for snapshot in sorted(records)}


def _totals(directory: Path, snapshots: dict[str, dict[str, int]]) -> dict[str, int]:
    """Counters of the whole artefact, whoever wrote its files."""
    return {
        "snapshots": len(snapshots),
        "snapshot_files": sum(1 for _ in directory.glob("snapshot=*/*.parquet")),
        "edges": sum(snapshot["edges"] for snapshot in snapshots.values()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage from the command line; see `run_stage`."""
    return run_stage(
        stage_parser("swing", __doc__, "RUN_DIR/graph", reads_graph=False),
        argv,
        lambda description, flags, beam_args: run_swing(description, flags.output, beam_args),
        "Swing edges",
    )


if __name__ == "__main__":
    sys.exit(main())
