"""The unigraph stage: logs, feature tables and Swing edges -> a cross-domain heterogeneous graph of one snapshot.

    python -m beam_pipelines.unigraph --input DATASET.yaml [--data DIR] --graph RUN_DIR/graph --output RUN_DIR/unigraph
        [--snapshot latest|ID] [Beam options]

Output, in TF-GNN's unigraph layout: `schema.pbtxt` (a GraphSchema), `nodes/<set>.tfrecord-<n>-of-<N>`, `edges/<set>.tfrecord-<n>-of-<N>`,
and `manifest.json`. Every worker must be able to read the graph and to write to the output directory.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from rich.table import Table

from beam_pipelines.id_kinds import logged_id_kinds
from beam_pipelines.output_directory import require_mounted
from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.stage_command import run_stage, stage_parser
from beam_pipelines.swing import swing_configuration, swing_fingerprint
from beam_pipelines.transforms.event_pieces import EventPieces
from beam_pipelines.transforms.events_by_user import EventsByUser
from beam_pipelines.transforms.file_patterns import input_fingerprint, match_files
from beam_pipelines.transforms.node_table_slices import NodeTableSlices
from beam_pipelines.transforms.swing_pieces import SwingPieces
from beam_pipelines.transforms.unigraph_edge_files import UnigraphEdgeFiles
from beam_pipelines.transforms.unigraph_node_files import UnigraphNodeFiles
from beam_pipelines.transforms.unigraph_report import UnigraphReport, read_unigraph_report
from tf_e2egrec.dataset.artefact import (
    Manifest,
    fingerprint_of,
    publish,
    read_manifest,
    require_match,
    write_manifest,
)
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.degree_histogram import QUANTILES
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan
from tf_e2egrec.graph.unigraph_statistics import UnigraphStatistics

STAGE = "unigraph"
LATEST = "latest"
_MADE_BY = "e2egrec swing"  # the command that makes the Swing edges
_BYTES_PER_PARTITION = 8 << 20  # of compressed logs
_BYTES_PER_SHARD = 64 << 20
_MOST_GROUPS = 4096
_REPORT = "report.json"


class UnigraphOptions(PipelineOptions):
    """Options of this stage among Beam's; none of them changes the graph."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--unigraph_shards", type=int, help="files per set; by the size of the logs if absent"
        )
        parser.add_argument(
            "--unigraph_partitions", type=int, help="user partitions; by the size of the logs if absent"
        )


def run_unigraph(
    description: DatasetDescription,
    graph_dir: str | Path,
    output: str | Path,
    beam_args: Sequence[str] = (),
    snapshot: int | None = None,
) -> Manifest:
    """Write the heterogeneous graph of one snapshot and publish it.

    Args:
      description: the data set.
      graph_dir: artefact directory of the swing stage, made from the same description and data.
      output: the artefact directory, RUN_DIR/unigraph; replaced when the stage succeeds, else left as it was.
      beam_args: Beam's options and those of `UnigraphOptions`.
      snapshot: id of the snapshot; the latest one, which sees all of the log, if None.

    Returns:
      The manifest. `details`: `snapshot`, `window` ([start, end) of the events seen), `shards`, `node_sets` and
      `edge_sets` (`UnigraphStatistics`), `time_is_rank`.

    Raises:
      E2EGRecError: the Swing edges are missing or were made from something else, there is no such snapshot, or
        the logs or tables cannot be read.
    """
    require_mounted(output)
    graph_dir = Path(graph_dir)
    graph = read_manifest(graph_dir, "swing", _MADE_BY)
    require_match(graph, swing_fingerprint(description), graph_dir, _MADE_BY)
    plan = UnigraphPlan.from_description(description, _chosen_snapshot(description, graph, snapshot))
    inputs, configuration = input_fingerprint(description), unigraph_configuration(description, plan.snapshot)
    partitions, shards = _groups(description, beam_args)
    kinds = logged_id_kinds(description)
    with publish(output) as staging:
        pipeline = beam.Pipeline(options=pipeline_options(beam_args))
        events = pipeline | "EventsByUser" >> EventsByUser(description, partitions, for_graph=True)
        tables = NodeTableSlices(description, plan, shards, kinds)
        swing_files = sorted((graph_dir / "edges" / f"snapshot={plan.snapshot}").resolve().glob("*.parquet"))
        _build(events, tables, SwingPieces(plan, swing_files, shards), plan, shards, staging.resolve())
        counters = run_pipeline(pipeline)
        statistics = read_unigraph_report(staging / _REPORT)
        (staging / _REPORT).unlink()
        _write_schema(staging, plan, statistics.records, shards)
        manifest = Manifest(
            stage=STAGE,
            configuration=configuration,
            fingerprint=fingerprint_of(STAGE, configuration, inputs, graph.fingerprint),
            inputs=inputs,
            upstream=graph.fingerprint,
            newest_edge_time=_newest_time(statistics, graph, plan.snapshot),
            counters=counters,
            details={
                "snapshot": plan.snapshot,
                "window": [plan.start, plan.end],
                "shards": shards,
                "node_sets": statistics.node_sets(plan),
                "edge_sets": statistics.edge_sets(plan),
                "time_is_rank": description.time_is_rank,
            },
        )
        write_manifest(staging, manifest)
    return manifest


def unigraph_configuration(description: DatasetDescription, snapshot: int) -> dict[str, Any]:
    """The part of a description that the graph of a snapshot depends on."""
    keys = {"explicit", "explicit_half_life", "explicit_max_per_node", "node_sets"}
    return {
        "swing": swing_configuration(description),
        "graph": description.graph.model_dump(mode="json", by_alias=True, include=keys),
        "tables": description.model_dump(mode="json", by_alias=True, include={"items", "users"}),
        "snapshot": snapshot,
    }


def parse_snapshot(text: str) -> int | None:
    """The snapshot that `--snapshot` names; None for `latest`.

    Raises:
      E2EGRecError: it is neither `latest` nor a number.
    """
    if text == LATEST:
        return None
    if not text.isdecimal():
        raise E2EGRecError(f"--snapshot must be `{LATEST}` or the number of a snapshot. Received: {text}")
    return int(text)


def statistics_tables(manifest: Manifest) -> list[Table]:
    """The statistics of the node sets and of the edge sets, for people."""
    nodes = Table(
        "node set", "nodes", "isolated", *QUANTILES, title="Nodes, and their degree over all edge sets"
    )
    for name, one in manifest.details["node_sets"].items():
        nodes.add_row(name, f"{one['nodes']:,}", *_degree_cells(one["degree"]))
    edges = Table(
        "edge set",
        "edges",
        "side",
        "isolated",
        *QUANTILES,
        title="Edges, and the degree of the nodes at either side",
    )
    for name, one in manifest.details["edge_sets"].items():
        edges.add_row(
            name, f"{one['edges']:,}", f"from {one['source']}", *_degree_cells(one["source_degree"])
        )
        edges.add_row("", "", f"to {one['target']}", *_degree_cells(one["target_degree"]))
    for table in (nodes, edges):
        for column in table.columns:
            is_text = column.header in ("node set", "edge set", "side")
            column.justify, column.overflow = ("left", "fold") if is_text else ("right", "ellipsis")
    return [nodes, edges]


def _build(
    events: beam.PCollection[tuple[int, bytes]],
    tables: NodeTableSlices,
    swing: SwingPieces,
    plan: UnigraphPlan,
    shards: int,
    staging: Path,
) -> None:
    """Events, Swing edges and feature tables -> edge files -> node files -> the report."""
    explicit_edges, keys = events | "EventPieces" >> EventPieces(plan, shards)
    slices, value_edges = events.pipeline | "NodeTableSlices" >> tables
    swing_edges = events.pipeline | "SwingPieces" >> swing
    edge_files, degrees = (
        (explicit_edges, swing_edges, value_edges)
        | "AllEdges" >> beam.Flatten()
        | "UnigraphEdgeFiles" >> UnigraphEdgeFiles(plan, shards, str(staging))
    )
    nodes = {"slices": slices, "keys": keys, "degrees": degrees}
    node_files, histograms = nodes | "UnigraphNodeFiles" >> UnigraphNodeFiles(plan, shards, str(staging))
    _ = (edge_files, node_files, histograms) | "UnigraphReport" >> UnigraphReport(str(staging / _REPORT))


def _chosen_snapshot(description: DatasetDescription, graph: Manifest, snapshot: int | None) -> int:
    """The snapshot to write; no later one than the swing stage has made."""
    newest = graph.details["newest_event_time"]
    if newest is None:
        raise E2EGRecError(
            "the graph has no Swing edges in any snapshot; check `graph.positive`, `graph.swing` and `graph.snapshots`"
        )
    latest = SnapshotPlan.from_description(description).latest(newest)
    if snapshot is not None and not 0 <= snapshot <= latest:
        raise E2EGRecError(f"there is no snapshot {snapshot}; the latest one is {latest}")
    return latest if snapshot is None else snapshot


def _newest_time(statistics: UnigraphStatistics, graph: Manifest, snapshot: int) -> int:
    """Time of the newest event that an edge comes from; there has to be one."""
    swing = graph.details["snapshots"].get(str(snapshot), {}).get("newest_event_time")
    times = [*statistics.newest_time.values(), *([swing] if swing is not None else [])]
    if not times:
        raise E2EGRecError(
            f"snapshot {snapshot} has no edges that come from events: the log has none before it, or none in its "
            "window (`graph.snapshots.window`); name a later one with --snapshot"
        )
    return max(times)


def _groups(description: DatasetDescription, beam_args: Sequence[str]) -> tuple[int, int]:
    """User partitions, and files per set: enough for the workers, and none too big for memory."""
    options = pipeline_options(beam_args)
    unigraph = options.view_as(UnigraphOptions)
    workers = max(options.view_as(DirectOptions).direct_num_workers or 1, 1)
    size = sum(
        file.size_in_bytes
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    )
    return (
        unigraph.unigraph_partitions or min(max(workers, -(-size // _BYTES_PER_PARTITION)), _MOST_GROUPS),
        unigraph.unigraph_shards or min(max(1, -(-size // _BYTES_PER_SHARD)), _MOST_GROUPS),
    )


def _write_schema(staging: Path, plan: UnigraphPlan, records: Any, shards: int) -> None:
    """Write `schema.pbtxt`; TensorFlow is imported only now, and never by a worker."""
    if importlib.util.find_spec("tensorflow_gnn") is None:
        raise E2EGRecError("the package tensorflow-gnn is missing; install tf_e2egrec with its requirements")
    from tf_e2egrec.subgraphs.graph_schema import write_schema  # noqa: PLC0415
    from tf_e2egrec.subgraphs.unigraph_schema import build_unigraph_schema  # noqa: PLC0415

    write_schema(build_unigraph_schema(plan, records, shards), staging / "schema.pbtxt")


def _degree_cells(summary: dict[str, float]) -> list[str]:
    quantiles = [f"{summary[name]:,}" if name in summary else "" for name in QUANTILES]
    return [f"{summary['isolated']:.1%}", *quantiles]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage from the command line; see `run_stage`."""
    parser = stage_parser("unigraph", __doc__, "RUN_DIR/unigraph", reads_graph=True)
    parser.add_argument("--snapshot", default=LATEST, help="`latest`, or the number of a snapshot")
    return run_stage(
        parser,
        argv,
        lambda description, flags, beam_args: run_unigraph(
            description, flags.graph, flags.output, beam_args, parse_snapshot(flags.snapshot)
        ),
        "Heterogeneous graph",
        statistics_tables,
    )


if __name__ == "__main__":
    sys.exit(main())
