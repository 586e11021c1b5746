"""The subgraphs stage: logs and graph -> one sampled subgraph per impression, node and neighbour tables, GraphSchema.

    python -m beam_pipelines.subgraphs --input DATASET.yaml [--data DIR] --graph RUN_DIR/graph --output RUN_DIR/subgraphs [Beam options]

Output: `<split>/impressions-<bucket>-<part>.tfrecord` (files in time order), `nodes/item.parquet`, `nodes/user.parquet`, `schema.pbtxt`,
`manifest.json`; where `graph.sampling.format` is `table` or `both`, `table/snapshot=<id>.arrow`, too (with `table` the records hold no
neighbours). Every worker must be able to read the graph and to write to the output directory.
"""

import dataclasses
import importlib.util
import json
import logging
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from beam_pipelines.id_kinds import logged_id_kinds, require_same_kinds, string_columns
from beam_pipelines.node_tables import read_node_tables
from beam_pipelines.output_directory import require_mounted
from beam_pipelines.reuse import take_over
from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.stage_command import run_stage, stage_parser
from beam_pipelines.swing import known_windows, swing_fingerprint
from beam_pipelines.transforms.events_by_user import EventsByUser
from beam_pipelines.transforms.file_patterns import input_fingerprint, match_files
from beam_pipelines.transforms.impressions import Impressions
from beam_pipelines.transforms.log_statistics import LogStatistics
from beam_pipelines.transforms.neighbour_tables import NeighbourTables
from beam_pipelines.transforms.subgraph_records import SubgraphRecords
from tf_e2egrec.dataset.artefact import (
    Manifest,
    fingerprint_of,
    publish,
    read_manifest,
    require_match,
    write_manifest,
)
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.graph_spec import HETEROGENEOUS_KEYS
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.dataset.split import SPLITS
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.file_plan import FilePlan
from tf_e2egrec.subgraphs.node_statistics import NodeStatistics
from tf_e2egrec.subgraphs.record_digest import RecordDigest
from tf_e2egrec.subgraphs.snapshot_tables import FOLDER as TABLE_FOLDER
from tf_e2egrec.subgraphs.subgraph_builder import SubgraphBuilder

STAGE = "subgraphs"
_MADE_BY = "e2egrec swing"  # the command that makes the graph
_BYTES_PER_PARTITION = 8 << 20  # of compressed logs
_MOST_PARTITIONS = 4096
_FILES, _TABLES = "files.json", "tables.json"  # what the pipeline says of record files and neighbour tables
_COUNTED_BY_FILE = ("records", "swing_edges", "recent_items", "isolated_candidates", "without_snapshot")

Entry = dict[str, Any]  # what the pipeline says of one file

_log = logging.getLogger(__name__)


class SubgraphsOptions(PipelineOptions):
    """Options of this stage among Beam's; none of them changes the records."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--subgraphs_partitions", type=int, help="user partitions; by the size of the logs if absent"
        )


def run_subgraphs(
    description: DatasetDescription,
    graph_dir: str | Path,
    output: str | Path,
    beam_args: Sequence[str] = (),
    reuse: Path | None = None,
) -> Manifest:
    """Write the subgraph of every impression and publish them.

    Args:
      description: the data set.
      graph_dir: artefact directory of the swing stage, made from the same description and data.
      output: the artefact directory, RUN_DIR/subgraphs; replaced when the stage succeeds, untouched when it fails.
      beam_args: Beam's options and those of `SubgraphsOptions`.
      reuse: an artefact of this stage, made from the same description but for `split`: files whose impressions and snapshots are the
        same are taken over, which `files_reused` counts; so are neighbour tables (`tables_reused`).

    Returns:
      The manifest. `details`: `files` (split -> what `SubgraphRecords` says of each file, in time order), `tables` (what
      `NeighbourTables` says of each, by snapshot), `time_ranges` (split -> [first, last] impression time), `time_is_rank`,
      `string_columns` (see there).

    Raises:
      E2EGRecError: the graph is missing or was made from something else, the logs cannot be read, or there is no impression to train on.
    """
    require_mounted(output)
    graph = read_manifest(Path(graph_dir), "swing", _MADE_BY)
    require_match(graph, swing_fingerprint(description), Path(graph_dir), _MADE_BY)
    configuration, inputs = subgraphs_configuration(description), input_fingerprint(description)
    kinds, tables = logged_id_kinds(description), ReadReport()
    node_tables = read_node_tables(description, tables)
    require_same_kinds(kinds, tables.kinds)
    with publish(output) as staging:
        pipeline = beam.Pipeline(options=pipeline_options(beam_args))
        events = pipeline | "EventsByUser" >> EventsByUser(description, _partitions(description, beam_args))
        directory = str(staging.resolve())
        writers = _writers(description, Path(graph_dir).resolve(), graph, directory, reuse)
        _build(events, description, directory, writers)
        counters = run_pipeline(pipeline)
        files = _read_files(staging, description)
        snapshot_tables = _read_tables(staging) if description.graph.sampling.has_table else None
        counters |= _totals(files, snapshot_tables)
        if reuse:
            counters |= _take_over_files(reuse, staging, files, snapshot_tables)
        counters |= tables.counters | _write_node_tables(staging, node_tables)
        _write_schema(staging, description)
        manifest = Manifest(
            stage=STAGE,
            configuration=configuration,
            fingerprint=fingerprint_of(STAGE, configuration, inputs, graph.fingerprint),
            inputs=inputs,
            upstream=graph.fingerprint,
            newest_edge_time=graph.newest_edge_time,
            counters=dict(sorted(counters.items())),
            details={
                "files": files,
                "tables": snapshot_tables or [],
                "time_ranges": {split: _time_range(entries) for split, entries in files.items()},
                "time_is_rank": description.time_is_rank,
                "string_columns": string_columns(kinds, description),
            },
        )
        write_manifest(staging, manifest)
    return manifest


def subgraphs_configuration(description: DatasetDescription) -> dict[str, Any]:
    """The part of a description that the records and node tables depend on."""
    graph: set[str] = set(HETEROGENEOUS_KEYS)
    excluded: dict[str, bool | set[str]] = dict.fromkeys(("name", "model", "training", "evaluation"), True)
    excluded["graph"] = graph
    return description.model_dump(mode="json", by_alias=True, exclude=excluded)


def subgraphs_fingerprint(description: DatasetDescription) -> str:
    """The fingerprint that this stage's artefact has if it was made from this description, these logs and their graph.

    Raises:
      E2EGRecError: an input file does not exist.
    """
    configuration, inputs = subgraphs_configuration(description), input_fingerprint(description)
    return fingerprint_of(STAGE, configuration, inputs, swing_fingerprint(description))


def _writers(
    description: DatasetDescription, graph_dir: Path, graph: Manifest, directory: str, reuse: Path | None
) -> dict[str, beam.PTransform]:
    """What impressions are turned into: name of the index -> transform whose output it lists."""
    plan, windows, sampling = (
        SnapshotPlan.from_description(description),
        known_windows(graph.details),
        description.graph.sampling,
    )
    # Records without neighbours do not change with the graph.
    digest = RecordDigest.from_windows(plan, windows if sampling.has_neighbours_in_records else {})
    builder = SubgraphBuilder.from_description(description, str(graph_dir))
    known = _known_files(reuse) if reuse else {}
    writers: dict[str, beam.PTransform] = {_FILES: SubgraphRecords(builder, directory, digest, known)}
    if sampling.has_table:
        writers[_TABLES] = NeighbourTables(str(graph_dir), directory, plan, sampling.top, windows, known)
    return writers


def _build(
    events: beam.PCollection[tuple[int, bytes]],
    description: DatasetDescription,
    directory: str,
    writers: dict[str, beam.PTransform],
) -> None:
    """Events of whole users -> impressions by file -> files, and an index of them; beside it, statistics for the node tables."""
    statistics = events | "LogStatistics" >> LogStatistics(description)
    _ = statistics | "StatisticsFiles" >> beam.Map(_write_file, directory=directory)
    items = statistics | "OfItems" >> beam.Filter(_is_of_items) | "WithoutName" >> beam.Values()
    impressions = events | "Impressions" >> Impressions(
        description, FilePlan.from_description(description), items
    )
    for index, writer in writers.items():
        name = type(writer).__name__
        _ = (
            impressions
            | name >> writer
            | f"IndexOf{name}" >> beam.combiners.ToList()
            | f"IndexFileOf{name}" >> beam.Map(_write_index, index, directory)
        )


def _known_files(older: Path) -> dict[str, str]:
    """File -> JSON object of its writer, for every file of an older artefact that says what it was made from."""
    details = read_manifest(older, STAGE, "e2egrec subgraphs").details
    written = [*details["files"].values(), details.get("tables", [])]
    return {entry["file"]: json.dumps(entry) for entries in written for entry in entries if "digest" in entry}


def _take_over_files(
    older: Path, staging: Path, files: dict[str, list[Entry]], tables: list[Entry] | None
) -> dict[str, int]:
    """Take over the files that the pipeline did not write; counts them."""
    counters = {}
    of_files = [entry for entries in files.values() for entry in entries]
    for counter, entries in (("files_reused", of_files), ("tables_reused", tables)):
        if entries is not None:
            missing = [entry for entry in entries if not (staging / entry["file"]).exists()]
            for entry in missing:
                source = older / entry["file"]
                if not source.is_file() or source.stat().st_size != entry["bytes"]:
                    raise E2EGRecError(f"{source} is missing or damaged; run `e2egrec subgraphs --force`")
                take_over(source, staging / entry["file"])
            counters[counter] = len(missing)
    return counters


def _totals(files: dict[str, list[Entry]], tables: list[Entry] | None) -> dict[str, int]:
    """Counters of the whole artefact, whoever wrote its files."""
    entries = [entry for of_split in files.values() for entry in of_split]
    counted = [name for name in _COUNTED_BY_FILE if name in entries[0]]
    totals = {name: sum(entry[name] for entry in entries) for name in counted} | {"files": len(entries)}
    if tables is not None:
        totals["tables"] = len(tables)
        totals |= {f"table_{name}": sum(entry[name] for entry in tables) for name in ("items", "edges")}
    return totals


def _partitions(description: DatasetDescription, beam_args: Sequence[str]) -> int:
    """User partitions: enough for the workers, and none too big for memory."""
    options = pipeline_options(beam_args)
    chosen = options.view_as(SubgraphsOptions).subgraphs_partitions
    workers = max(options.view_as(DirectOptions).direct_num_workers or 1, 1)
    size = sum(
        file.size_in_bytes
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    )
    return chosen or min(max(workers, -(-size // _BYTES_PER_PARTITION)), _MOST_PARTITIONS)


def _is_of_items(statistics: tuple[str, bytes]) -> bool:
    return statistics[0] == "item"


def _write_file(content: tuple[str, bytes], directory: str) -> None:
    """Write (name, content) to `<name>.statistics`, which appears whole however often the step is retried."""
    name, text = content
    path = Path(directory) / f"{name}.statistics"
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_bytes(text)
    temporary.replace(path)


def _write_index(entries: list[str], index: str, directory: str) -> None:
    _write_file((index, ("[" + ",".join(sorted(entries)) + "]").encode()), directory)


def _read_index(staging: Path, index: str) -> list[Entry]:
    """The entries of an index, which is removed."""
    path = staging / f"{index}.statistics"
    entries: list[Entry] = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return entries


def _read_tables(staging: Path) -> list[Entry]:
    """The neighbour tables by snapshot; their folder is there even where no snapshot has edges."""
    (staging / TABLE_FOLDER).mkdir(exist_ok=True)
    return sorted(_read_index(staging, _TABLES), key=lambda entry: int(entry["snapshot"]))


def _read_files(staging: Path, description: DatasetDescription) -> dict[str, list[Entry]]:
    """The record files of each split in time order."""
    files: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    for entry in sorted(_read_index(staging, _FILES), key=lambda one: one["file"]):
        files[entry["file"].split("/")[0]].append(entry)
    if not files["train"]:
        raise E2EGRecError(
            "no impression falls into the training split; check `split`, `ranker.rows` and `feeds` of the logs "
            f"(train_until is {description.split.train_until})"
        )
    for split, entries_of_split in files.items():
        if not entries_of_split:
            _log.warning("no impression falls into the split `%s`", split)
    return files


def _time_range(entries: list[Entry]) -> list[int]:
    """[first, last] impression time of a split; empty without impressions."""
    if not entries:
        return []
    return [min(entry["first_time"] for entry in entries), max(entry["last_time"] for entry in entries)]


def _write_node_tables(staging: Path, tables: dict[str, NodeTable]) -> dict[str, int]:
    """Join the feature tables with what the logs say; items and users without events have `first_seen` = -1."""
    counters: dict[str, int] = {}
    (staging / "nodes").mkdir()
    for name, table in tables.items():
        path = staging / f"{name}.statistics"
        statistics = NodeStatistics.from_bytes(path.read_bytes())
        path.unlink()
        whole = table.with_keys(statistics.key)
        rows = NodeTable(statistics.key, statistics.key.astype(str)).lookup(whole.key)
        seen = rows >= 0
        whole = dataclasses.replace(
            whole,
            first_seen=_where(seen, statistics.first_seen, rows, -1),
            train_count=_where(seen, statistics.train_count, rows, 0),
        )
        whole.write_parquet(staging / "nodes" / f"{name}.parquet")
        counters |= {f"{name}s": len(whole), f"{name}s_without_events": int((~seen).sum())}
        if len(table):
            counters[f"{name}s_without_features"] = len(whole) - len(table)
    return counters


def _where(known: Any, values: Any, rows: Any, otherwise: int) -> Any:
    """`values[rows]` where known, else a constant; int64 [n]."""
    result = known * 0 + otherwise
    result[known] = values[rows[known]]
    return result


def _write_schema(staging: Path, description: DatasetDescription) -> None:
    """Write `schema.pbtxt`; TensorFlow is imported only now, and never by a worker."""
    if importlib.util.find_spec("tensorflow_gnn") is None:
        raise E2EGRecError("the package tensorflow-gnn is missing; install tf_e2egrec with its requirements")
    from tf_e2egrec.subgraphs.graph_schema import build_graph_schema, write_schema  # noqa: PLC0415

    write_schema(build_graph_schema(description), staging / "schema.pbtxt")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage from the command line; see `run_stage`."""
    return run_stage(
        stage_parser("subgraphs", __doc__, "RUN_DIR/subgraphs", reads_graph=True),
        argv,
        lambda description, flags, beam_args: run_subgraphs(
            description, flags.graph, flags.output, beam_args
        ),
        "Subgraphs",
    )


if __name__ == "__main__":
    sys.exit(main())
