"""How fast neighbours are sampled and written.

    python -m benchmarks.sampling [--quick] [--json]

Seeds with 150 neighbours each, of which 100 are kept, to TFRecord files of `tf.train.Example`: the kernel alone, kernel with encoding and
writing (one thread), and the whole Beam stage (`FnApiRunner`, one process) with reading, grouping by user, recent items and node tables.

TF-GNN's own Beam sampler does the same work, 100 of 150 neighbours per seed to GraphTensors in a TFRecord file, on fewer seeds, in the
same run and on the same runner; its rate is compared with the whole stage's, and with that of `sample_unigraph` on the very same files. It
samples uniformly and ignores the weights.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report, shortest

NEIGHBOURS, FANOUT = 150, 100
TARGETS = {
    "sampled_and_written_per_s": Target(">=", 30_000),
    "whole_stage_per_s": Target(">=", 12_000),
    "vs_tfgnn_beam_sampler": Target(">=", 100),
}

DESCRIPTION = """
name: benchmark
interactions:
  paths: log.parquet
  user: u
  item: i
  time: {{column: t, unit: ms}}
  behaviours: {{click: {{column: c}}}}
ranker: {{reward: click, derived: [hour_of_day, recent_count]}}
graph:
  positive: [click]
  explicit: [click]
  recent: 10
  snapshots: {{refresh: once}}
  sampling: {{fanout: {fanout}, recent_fanout: 0, top: {neighbours}}}
split: {{by: time, labels_from: 2020-01-01, train_until: 2020-01-09, valid_until: 2020-01-10}}
"""
_START, _DAY = 1_577_836_800_000, 86_400_000  # 2020-01-01


def main() -> int:
    """Measure and report; the exit code is 1 where a target is missed."""
    options = benchmark_parser(__doc__).parse_args()
    pin_threads(2)
    seeds = 5_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        kernel, written, size = _in_memory(seeds, Path(folder))
        stage = _whole_stage(seeds, Path(folder))
        compared = 100 if options.quick else 2_000
        unigraph, theirs = _against_tfgnn(compared, Path(folder))
    ratios = {
        "sampled_per_s": seeds / kernel,
        "sampled_and_written_per_s": seeds / written,
        "whole_stage_per_s": seeds / stage,
        "vs_tfgnn_beam_sampler": (seeds / stage) / (compared / theirs),
        "sample_unigraph_vs_tfgnn_beam_sampler": theirs / unigraph,
    }
    figures = [
        {"step": "sampling", "seconds": kernel, "seeds/s": ratios["sampled_per_s"]},
        {
            "step": "sampling, encoding, writing",
            "seconds": written,
            "seeds/s": ratios["sampled_and_written_per_s"],
        },
        {"step": "whole Beam stage", "seconds": stage, "seeds/s": ratios["whole_stage_per_s"]},
        {"step": f"sample_unigraph, {compared} seeds", "seconds": unigraph, "seeds/s": compared / unigraph},
        {"step": f"TF-GNN (uniform), {compared} seeds", "seconds": theirs, "seeds/s": compared / theirs},
        {"step": "bytes per record", "seconds": "", "seeds/s": size / seeds},
    ]
    targets = {} if options.quick else TARGETS
    return report("sampling", ratios, targets, figures=figures, only_json=options.json)


def _in_memory(seeds: int, folder: Path) -> tuple[float, float, int]:
    """Seconds of the kernel, seconds with encoding and writing, bytes written; every seed is another item."""
    import numpy as np

    from tf_e2egrec.graph.neighbour_table import NeighbourTable
    from tf_e2egrec.graph.sampling import sample_neighbours
    from tf_e2egrec.subgraphs.example_encoding import encode_subgraphs
    from tf_e2egrec.subgraphs.record_layout import RecordLayout
    from tf_e2egrec.subgraphs.subgraph_batch import SubgraphBatch

    rng = np.random.default_rng(0)
    source, _, weight = _edges(seeds, rng)
    indptr = np.arange(seeds + 1) * NEIGHBOURS
    table = NeighbourTable(np.arange(seeds), indptr, source, weight)
    layout = RecordLayout.from_description(_description(folder))
    none = np.zeros(0, np.int64)
    readout = {name: rng.integers(0, 1 << 40, seeds) for name in layout.int_columns}
    readout |= {name: rng.random(seeds, dtype=np.float32) for name in layout.float_columns}

    def sample_all(rows: int) -> SubgraphBatch:
        return SubgraphBatch(
            candidate=table.items[:rows],
            candidate_row=np.arange(rows),
            user=readout["user_id"][:rows],
            history=np.zeros(rows, np.int64),
            history_indptr=np.zeros(2, np.int64),
            recent=none,
            recent_row=none,
            age=none.astype(np.float32),
            readout={name: values[:rows] for name, values in readout.items()},
            sample=sample_neighbours(table, table.items[:rows], FANOUT, top=NEIGHBOURS),
        )

    path = folder / "seeds.tfrecord"

    def write_all(rows: int) -> None:
        with path.open("wb") as file:
            for chunk, _ in encode_subgraphs(sample_all(rows), layout):
                file.write(chunk)

    write_all(min(seeds, 100))  # compiles
    kernel, written = shortest(lambda: sample_all(seeds)), shortest(lambda: write_all(seeds))
    return kernel, written, path.stat().st_size


def _whole_stage(seeds: int, folder: Path) -> float:
    """Seconds of `run_subgraphs` on a log of `seeds` impressions and a graph with 150 neighbours per item."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from beam_pipelines.subgraphs import run_subgraphs
    from beam_pipelines.swing import swing_fingerprint
    from tf_e2egrec.dataset.artefact import Manifest, write_manifest

    rng = np.random.default_rng(1)
    items = max(seeds // 5, 2 * NEIGHBOURS)
    log = {
        "u": rng.integers(0, seeds // 5, seeds),
        "i": rng.integers(0, items, seeds),
        "t": _START + rng.integers(0, 10 * _DAY, seeds),
        "c": rng.random(seeds) < 0.5,
    }
    pq.write_table(pa.table(log), folder / "log.parquet")
    description = _description(folder)
    source, target, weight = _edges(items, rng)
    edges = folder / "graph" / "edges" / "snapshot=0"
    edges.mkdir(parents=True)
    pq.write_table(
        pa.table({"source": source, "target": target, "weight": weight}), edges / "shard-0.parquet"
    )
    manifest = Manifest(
        stage="swing", configuration={}, fingerprint=swing_fingerprint(description), inputs=""
    )
    write_manifest(folder / "graph", manifest)

    def run() -> None:
        run_subgraphs(description, folder / "graph", folder / "subgraphs")

    return shortest(run, repeats=2)  # the first run compiles


def _against_tfgnn(seeds: int, folder: Path) -> tuple[float, float]:
    """Seconds of `run_sample_unigraph` and of TF-GNN's sampler on the same unigraph."""
    import numpy as np

    from benchmarks.tfgnn_sampler import seconds_of_ours, seconds_of_tfgnn, write_unigraph

    graph = folder / "unigraph"
    write_unigraph(graph, seeds, _edges(max(seeds, 2 * NEIGHBOURS), np.random.default_rng(2)))
    return seconds_of_ours(graph, FANOUT), seconds_of_tfgnn(graph, FANOUT)


def _edges(items: int, rng: Any) -> tuple[Any, Any, Any]:
    """150 weighted edges into every item, ordered as the swing stage writes them (ties aside)."""
    import numpy as np

    target = np.repeat(np.arange(items), NEIGHBOURS)
    offset = rng.permuted(np.tile(np.arange(1, 2 * NEIGHBOURS), (items, 1)), axis=1)[:, :NEIGHBOURS]
    weight = -np.sort(-rng.exponential(size=(items, NEIGHBOURS)).astype(np.float32), axis=1)
    return (target + offset.ravel()) % items, target, weight.ravel()


def _description(folder: Path) -> Any:
    from tf_e2egrec.dataset.description import parse_description

    text = DESCRIPTION.format(fanout=FANOUT, neighbours=NEIGHBOURS)
    return parse_description(text, "benchmark").with_data_root(str(folder))


if __name__ == "__main__":
    raise SystemExit(main())
