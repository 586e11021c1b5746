"""The sampling stage for any graph: a unigraph and a sampling plan -> one sampled K-hop subgraph per seed.

    python -m beam_pipelines.sample_unigraph --graph DIR --plan PLAN.yaml --output DIR [--seeds FILES] [--weight FEATURE] [Beam options]

The graph is in TF-GNN's unigraph layout (a GraphSchema `*.pbtxt`, and TFRecord or CSV files per node and edge set). Output:
`samples.tfrecord-<n>-of-<N>` (GraphTensors, read by `tfgnn.parse_example`), `schema.pbtxt` (their GraphSchema), `manifest.json`. Every
worker must be able to read the graph and to write to the output directory.
"""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import FileMetadata
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from rich.console import Console
from rich.table import Table

from beam_pipelines.output_directory import require_mounted
from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.transforms.file_patterns import match_files, open_raw
from beam_pipelines.transforms.rows_with_node import ROWS_PER_GROUP
from beam_pipelines.transforms.sampled_graphs import SampledGraphs
from beam_pipelines.written_file import write_whole
from tf_e2egrec.dataset.artefact import (
    MANIFEST,
    Manifest,
    fingerprint_of,
    publish,
    read_manifest,
    write_manifest,
)
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.sampling_plan import SamplingPlan
from tf_e2egrec.subgraphs.sampled_graph_layout import SampledGraphLayout
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet

STAGE = "sample_unigraph"
_BYTES_PER_PARTITION = 32 << 20  # of the graph's files
_MOST_PARTITIONS = 4096
_FINGERPRINT_BYTES = 1 << 20
_INDEX = ".files.json"


class SampleUnigraphOptions(PipelineOptions):
    """Options of this stage among Beam's; they change which file a record is in, and no record."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--sample_partitions", type=int, help="node partitions; by the graph's size if absent"
        )
        parser.add_argument("--sample_files", type=int, help="record files; as many as partitions if absent")


def run_sample_unigraph(
    graph_dir: str | Path,
    plan: SamplingPlan,
    output: str | Path,
    *,
    seeds: str | None = None,
    weight: str = "weight",
    max_bad_share: float = 0.01,
    beam_args: Sequence[str] = (),
) -> Manifest:
    """Sample a subgraph around every seed and publish the records.

    Args:
      graph_dir: folder of the graph.
      plan: which edges are sampled.
      output: the artefact directory; replaced when the stage succeeds, untouched when it fails.
      seeds: path or glob of a table (TFRecord or CSV, by its name) with the ids of the seeds: `#id`, or `#source` and `#target` where
        the plan has `target_edge_sets`; every node of the plan's seed node set if absent.
      weight: the edge feature that is the weight; edge sets without it are sampled uniformly.
      max_bad_share: of the rows of a file set that may lack an id or have a weight that is no number.
      beam_args: Beam's options and those of `SampleUnigraphOptions`.

    Returns:
      The manifest. `details`: `files` (`file`, `records`, `bytes` of each), `uniform_edge_sets` (those without a weight).

    Raises:
      E2EGRecError: the graph, the plan or the seeds do not fit together or cannot be read, or too many rows are bad.
    """
    # TensorFlow is imported here, and never by a worker.
    from tf_e2egrec.subgraphs.graph_schema import write_schema  # noqa: PLC0415
    from tf_e2egrec.subgraphs.sampled_graph_schema import (  # noqa: PLC0415
        read_unigraph_schema,
        sampled_graph_schema,
        unigraph_sets,
    )

    require_mounted(output)
    graph_dir = Path(graph_dir)
    schema = read_unigraph_schema(graph_dir)
    layout = _layout(plan, *unigraph_sets(schema))
    seed_set = _seed_set(layout, seeds)
    files = _files(layout, seed_set, graph_dir)
    weights = {name: _weight(table, weight) for name, table in layout.edges.items()}
    configuration = {
        "plan": plan.model_dump(mode="json", by_alias=True),
        "weight": weight,
        "seeds": bool(seeds),
    }
    inputs, upstream = _fingerprint(files), _upstream(graph_dir)
    partitions, outputs = _sizes(files, beam_args)
    with publish(output) as staging:
        directory = str(staging.resolve())
        paths = {name: [file.path for file in found] for name, found in files.items()}
        graphs = SampledGraphs(
            layout, seed_set, paths, weights, directory, outputs, partitions, ROWS_PER_GROUP
        )
        counters, written = _run(graphs, staging, beam_args)
        _require_good_rows(counters, max_bad_share)
        write_schema(sampled_graph_schema(layout, schema), staging / "schema.pbtxt")
        manifest = Manifest(
            stage=STAGE,
            configuration=configuration,
            fingerprint=fingerprint_of(STAGE, configuration, inputs),
            inputs=inputs,
            upstream=upstream.fingerprint if upstream else None,
            newest_edge_time=upstream.newest_edge_time if upstream else None,
            counters=counters,
            details={
                "files": written,
                "uniform_edge_sets": sorted(name for name, feature in weights.items() if not feature),
            },
        )
        write_manifest(staging, manifest)
    return manifest


def _run(
    graphs: SampledGraphs, staging: Path, beam_args: Sequence[str]
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Run the pipeline; gives its counters, and what it says of each file."""
    path = staging.resolve() / _INDEX
    pipeline = beam.Pipeline(options=pipeline_options(beam_args))
    index = pipeline | "SampledGraphs" >> graphs | "FileIndex" >> beam.combiners.ToList()
    _ = index | "IndexFile" >> beam.Map(_write_index, str(path))
    counters = run_pipeline(pipeline)
    written = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return counters, written


def _layout(
    plan: SamplingPlan, nodes: dict[str, UnigraphSet], edges: dict[str, UnigraphSet]
) -> SampledGraphLayout:
    """The sets that the plan touches."""
    ends = plan.ends({name: (one.source, one.target) for name, one in edges.items()})
    if plan.seed_node_set not in nodes:
        raise E2EGRecError(
            f"the sampling plan starts from `{plan.seed_node_set}` nodes; the graph has {', '.join(sorted(nodes))}"
        )
    touched = {plan.seed_node_set} | {one for end in ends for one in end}
    return SampledGraphLayout(
        plan,
        {name: nodes[name] for name in sorted(touched)},
        {name: edges[name] for name in sorted({op.edge_set for op in plan.ops})},
    )


def _seed_set(layout: SampledGraphLayout, seeds: str | None) -> UnigraphSet:
    node_set = layout.plan.seed_node_set
    if layout.plan.target_edge_sets:
        if seeds is None:
            raise E2EGRecError(
                "the sampling plan has `target_edge_sets`: pass --seeds, a table with #source and #target"
            )
        return UnigraphSet("seeds", seeds, (), node_set, "targets")
    pattern = seeds or layout.nodes[node_set].pattern
    if not pattern:
        raise E2EGRecError(f"the schema names no file for the node set `{node_set}`: pass --seeds")
    return UnigraphSet("seeds", pattern, ())


def _files(layout: SampledGraphLayout, seeds: UnigraphSet, graph_dir: Path) -> dict[str, list[FileMetadata]]:
    """The files of the seeds, `nodes/<set>` (with features) and `edges/<set>`."""
    sets = {f"nodes/{name}": one for name, one in layout.nodes.items() if one.features}
    sets |= {f"edges/{name}": one for name, one in layout.edges.items()} | {"seeds": seeds}
    for one in sets.values():
        _ = one.is_csv  # refuses other formats
    return {
        name: match_files([one.glob], str(graph_dir.resolve()), f"metadata.filename of {name}")
        for name, one in sets.items()
    }


def _weight(table: UnigraphSet, weight: str) -> str:
    usable = [one for one in table.features if one.name == weight and one.kind != "bytes" and one.width == 1]
    return weight if usable else ""


def _fingerprint(files: dict[str, list[FileMetadata]]) -> str:
    """A hash of the names, sizes and first MiB of the files."""
    parts = []
    for name, found in sorted(files.items()):
        for file in found:
            with open_raw(file.path) as stream:
                start = hashlib.sha256(stream.read(_FINGERPRINT_BYTES)).hexdigest()
            parts.append((name, Path(file.path).name, file.size_in_bytes, start))
    return fingerprint_of(*parts)


def _upstream(graph_dir: Path) -> Manifest | None:
    """The manifest of the stage that made the graph; None for a graph from elsewhere."""
    if not (graph_dir / MANIFEST).exists():
        return None
    return read_manifest(graph_dir, "unigraph", "python -m beam_pipelines.unigraph")


def _sizes(files: dict[str, list[FileMetadata]], beam_args: Sequence[str]) -> tuple[int, int]:
    """Node partitions and record files: enough for the workers, and none too big for memory."""
    options = pipeline_options(beam_args)
    chosen = options.view_as(SampleUnigraphOptions)
    workers = max(options.view_as(DirectOptions).direct_num_workers or 1, 1)
    size = sum(file.size_in_bytes for found in files.values() for file in found)
    partitions = chosen.sample_partitions or min(
        max(workers, -(-size // _BYTES_PER_PARTITION)), _MOST_PARTITIONS
    )
    return partitions, chosen.sample_files or partitions


def _write_index(entries: list[str], path: str) -> None:
    write_whole(path, ("[" + ",".join(sorted(entries)) + "]").encode())


def _require_good_rows(counters: dict[str, int], share: float) -> None:
    for name, bad in counters.items():
        if name.startswith("bad_rows/"):
            table = name.removeprefix("bad_rows/")
            rows = counters.get(f"rows_read/{table}", 0)
            if bad > share * rows:
                raise E2EGRecError(
                    f"{bad} of {rows} rows of `{table}` lack an id or have a weight that is no number, more than {share:.0%}; "
                    "mend the files, or allow a larger share"
                )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags, run the stage, print its counters; the exit code is 2 after a mistake in the input."""
    parser = argparse.ArgumentParser(
        prog="python -m beam_pipelines.sample_unigraph", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--graph", required=True, help="folder of the graph, with its GraphSchema")
    parser.add_argument("--plan", required=True, help="sampling plan (YAML)")
    parser.add_argument("--output", required=True, help="artefact directory")
    parser.add_argument("--seeds", help="table of seeds; every node of the plan's seed node set if absent")
    parser.add_argument("--weight", default="weight", help="edge feature that is the weight")
    parser.add_argument("--max_bad_share", type=float, default=0.01, help="of rows that may be bad")
    arguments, beam_args = parser.parse_known_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        manifest = run_sample_unigraph(
            arguments.graph,
            SamplingPlan.load(arguments.plan),
            arguments.output,
            seeds=str(Path(arguments.seeds).resolve())
            if arguments.seeds and "://" not in arguments.seeds
            else arguments.seeds,
            weight=arguments.weight,
            max_bad_share=arguments.max_bad_share,
            beam_args=beam_args,
        )
    except E2EGRecError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table("counter", "value", title=f"Sampled subgraphs in {arguments.output}")
    for name, value in manifest.counters.items():
        table.add_row(name, f"{value:,}")
    uniform = manifest.details["uniform_edge_sets"]
    Console().print(
        table,
        *([f"sampled uniformly, for want of `{arguments.weight}`: {', '.join(uniform)}"] if uniform else []),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
