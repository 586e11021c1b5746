"""Swing: nanoseconds per contribution of the kernel, and the Beam stage's wall time against the kernel's.

    python -m benchmarks.swing [--quick] [--json]

The logs are synthetic, with power laws over users and items: 100k (6k users, 4k items), 1M (50k, 20k), and "1M
dense" (6k, 4k). A contribution is one term of the score's sum. The kernel's time begins with prepared histories
and ends with the edges; the stage's time begins with Parquet files and ends with the published artefact (one
snapshot). Nanoseconds per contribution are those of one thread. The fastest of three runs counts, after one run
that compiles.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report, shortest

DESCRIPTION = """
name: benchmark
interactions:
  paths: log.parquet
  user: user
  item: item
  time: {column: time, unit: ms}
  behaviours: {click: {always: true}}
ranker: {reward: click}
graph: {positive: [click], explicit: [click], snapshots: {refresh: once}}
split: {by: time, labels_from: 2024-02-01, train_until: 2024-02-02, valid_until: 2024-02-03}
"""
BEGIN_MS, SPAN_MS = 1_704_067_200_000, 28 * 86_400_000  # January 2024


class Log(NamedTuple):
    """Size of a synthetic log."""

    name: str
    users: int
    items: int
    rows: int


LOGS = [
    Log("100k", 6_000, 4_000, 100_000),
    Log("1M sparse", 50_000, 20_000, 1_000_000),
    Log("1M dense", 6_000, 4_000, 1_000_000),
]
TARGETS = {
    "100k ns per contribution": Target("<=", 15.0),
    "1M sparse ns per contribution": Target("<=", 15.0),
    "1M dense ns per contribution": Target("<=", 3.0),
    "1M sparse stage / kernel": Target("<=", 2.0),
    "1M dense stage / kernel": Target("<=", 1.5),
}
QUICK_LOGS = [Log("10k", 1_000, 500, 10_000)]


def measure(log: Log, threads: int, folder: Path) -> tuple[dict[str, float], dict[str, object]]:
    """Ratios by name, and the row of figures behind them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from beam_pipelines.swing import run_swing
    from tf_e2egrec.dataset.description.load import load_description
    from tf_e2egrec.graph.swing import SwingHistories, window_edges

    random = np.random.default_rng(0)
    share = [(1.0 + np.arange(size)) ** -power for size, power in ((log.users, 0.6), (log.items, 0.8))]
    user, item = (random.choice(len(one), log.rows, p=one / one.sum()) for one in share)
    time = BEGIN_MS + random.integers(0, SPAN_MS, log.rows)
    pq.write_table(pa.table({"user": user, "item": item, "time": time}), folder / "log.parquet")
    (folder / "log.yaml").write_text(DESCRIPTION, encoding="utf-8")

    description = load_description(folder / "log.yaml")
    spec = description.graph.swing
    histories = SwingHistories.from_interactions(user, item, time, description.seed)
    counters = window_edges(histories, spec, threads=1).counters  # compiles
    run_swing(description, folder / "graph")
    one_thread = shortest(lambda: window_edges(histories, spec, threads=1))
    kernel = shortest(lambda: window_edges(histories, spec, threads=threads))
    stage = shortest(lambda: run_swing(description, folder / "graph"))
    ratios = {
        f"{log.name} ns per contribution": one_thread * 1e9 / counters["contributions"],
        f"{log.name} stage / kernel": stage / kernel,
    }
    figures: dict[str, object] = {
        "log": log.name,
        "rows": log.rows,
        "pair_lookups": counters["pair_lookups"],
        "contributions": counters["contributions"],
        "edges": counters["edges"],
        "kernel_1_thread_s": round(one_thread, 3),
        f"kernel_{threads}_threads_s": round(kernel, 3),
        "stage_s": round(stage, 3),
        "ns_per_lookup": round(one_thread * 1e9 / counters["pair_lookups"], 2),
    }
    return ratios, figures


def main(argv: list[str] | None = None) -> int:
    """Measure, report, and return 0 where the targets are met (always with `--quick`)."""
    arguments = benchmark_parser(__doc__).parse_args(argv)
    threads = pin_threads()
    ratios: dict[str, float] = {}
    figures = []
    for log in QUICK_LOGS if arguments.quick else LOGS:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            found, row = measure(log, threads, Path(folder))
        ratios |= found
        figures.append(row)
    targets = {} if arguments.quick else TARGETS
    return report("swing", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
