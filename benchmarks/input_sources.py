"""How fast the two outputs of the subgraphs stage become batches, and what they take on disk.

    python -m benchmarks.input_sources [--quick] [--json]

One log (100k impressions with up to 10 recent items, 20k items with 150 neighbours each, of which 100 and 10 are kept) is written
with `graph.sampling.format: records` and `table`. Then one pass over the training split is timed, without a model: batches of 2,048,
parsed, with neighbours. `resample: step` draws a new sample for each batch. No target is set.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.reporting import benchmark_parser, pin_threads, report, shortest_of_each
from benchmarks.sampling import DESCRIPTION, FANOUT, NEIGHBOURS, _edges

_START, _DAY = 1_577_836_800_000, 86_400_000  # 2020-01-01


def main() -> int:
    """Measure and report."""
    options = benchmark_parser(__doc__).parse_args()
    pin_threads(2)
    impressions = 5_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        made = _write(impressions, Path(folder))
        sizes, passes = {}, {}
        for source, (description, directory, manifest) in made.items():
            entries = [entry for entries in manifest.details["files"].values() for entry in entries]
            sizes[source] = sum(entry["bytes"] for entry in entries) / manifest.counters["records"]
            passes[source] = _pass_over(description, directory, "never")
        description, directory, manifest = made["table"]
        passes["table, resample: step"] = _pass_over(description, directory, "step")
        seconds = shortest_of_each(passes)
        rows = manifest.counters["impressions_train"]
    tables = manifest.details["tables"]
    ratios = {f"{name}: impressions/s": rows / value for name, value in seconds.items()}
    ratios["table against records"] = seconds["records"] / seconds["table"]
    ratios["bytes per impression, records"] = sizes["records"]
    ratios["bytes per impression, table"] = sizes["table"]
    ratios["bytes per item of a table"] = sum(one["bytes"] for one in tables) / sum(
        one["items"] for one in tables
    )
    figures = [
        {"source": name, "seconds": value, "impressions/s": rows / value} for name, value in seconds.items()
    ]
    return report("input_sources", ratios, {}, figures=figures, only_json=options.json)


def _write(impressions: int, folder: Path) -> dict[str, tuple[Any, Path, Any]]:
    """Format -> (description, directory of the subgraphs, manifest)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from beam_pipelines.subgraphs import run_subgraphs
    from beam_pipelines.swing import swing_fingerprint
    from tf_e2egrec.dataset.artefact import Manifest, write_manifest
    from tf_e2egrec.dataset.description import parse_description

    rng = np.random.default_rng(1)
    items = max(impressions // 5, 2 * NEIGHBOURS)
    log = {
        "u": rng.integers(0, impressions // 20, impressions),
        "i": (items * rng.random(impressions) ** 3).astype(np.int64),  # some items are popular
        "t": _START + rng.integers(0, 10 * _DAY, impressions),
        "c": rng.random(impressions) < 0.5,
    }
    pq.write_table(pa.table(log), folder / "log.parquet")
    source, target, weight = _edges(items, rng)
    edges = folder / "graph" / "edges" / "snapshot=0"
    edges.mkdir(parents=True)
    columns = {"source": source, "target": target, "weight": weight}
    pq.write_table(pa.table(columns), edges / "shard-0.parquet")
    made = {}
    for format in ("records", "table"):
        text = DESCRIPTION.format(fanout=FANOUT, neighbours=NEIGHBOURS)
        text = text.replace("recent_fanout: 0", f"recent_fanout: 10, format: {format}")
        description = parse_description(text, "benchmark").with_data_root(str(folder))
        fingerprint = swing_fingerprint(description)
        details = {"windows": {"0": "0"}}
        write_manifest(
            folder / "graph",
            Manifest(stage="swing", configuration={}, fingerprint=fingerprint, inputs="", details=details),
        )
        made[format] = (
            description,
            folder / format,
            run_subgraphs(description, folder / "graph", folder / format),
        )
    return made


def _pass_over(description: Any, directory: Path, resample: str) -> Any:
    """A function that takes every batch of the training split once."""
    import tensorflow as tf

    from tf_e2egrec.dataset.node_table import NodeTable
    from tf_e2egrec.subgraphs.feature_table import FeatureTable
    from tf_e2egrec.subgraphs.impression_source import impressions

    training = description.training.model_copy(update={"resample": resample})
    description = description.model_copy(update={"training": training})
    tables = [
        FeatureTable(NodeTable.read_parquet(directory / "nodes" / f"{name}.parquet"), [])
        for name in ("item", "user")
    ]
    batches = impressions(directory, "train", description, *tables, seed=0)

    def run() -> None:
        for graph, _ in batches:
            tf.reduce_sum(graph.edge_sets["swing"]["weight"])

    run()  # traces and compiles
    return run


if __name__ == "__main__":
    raise SystemExit(main())
