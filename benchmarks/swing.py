"""Swing: nanoseconds per contribution of the kernel, and the Beam stage's wall time against the kernel's.

    python -m benchmarks.swing [--quick] [--json]

The logs are synthetic, with power laws over users and items: 100k (6k users, 4k items), 1M (50k, 20k), and "1M
dense" (6k, 4k). A contribution is one term of the score's sum; nanoseconds per contribution are those of one
thread, from prepared histories to edges. The stage's time, from Parquet files to the published artefact (one
snapshot), is compared with the kernel's on two threads, and, without a target, with that of `swing_edges` in
memory, which starts from unordered arrays. The fastest of three runs counts, after one that compiles.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report, shortest_of_each

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
    from tf_e2egrec.graph.swing import SwingHistories, swing_edges, window_edges

    random = np.random.default_rng(0)
    share = [(1.0 + np.arange(size)) ** -power for size, power in ((log.users, 0.6), (log.items, 0.8))]
    user, item = (random.choice(len(one), log.rows, p=one / one.sum()) for one in share)
    time = BEGIN_MS + random.integers(0, SPAN_MS, log.rows)
    pq.write_table(pa.table({"user": user, "item": item, "time": time}), folder / "log.parquet")
    (folder / "log.yaml").write_text(DESCRIPTION, encoding="utf-8")

    description = load_description(folder / "log.yaml")
    spec = description.graph.swing
    histories = SwingHistories.from_interactions(user, item, time, description.seed)
    counters = window_edges(histories, spec, threads=1).counters
    actions = {
        "kernel, 1 thread": lambda: window_edges(histories, spec, threads=1),
        "kernel": lambda: window_edges(histories, spec, threads=threads),
        "memory": lambda: swing_edges(user, item, time, spec, description.seed, threads=threads),
        "stage": lambda: run_swing(description, folder / "graph"),
    }
    shortest_of_each(actions, 1)  # compiles
    seconds = shortest_of_each(actions)
    ratios = {
        f"{log.name} ns per contribution": seconds["kernel, 1 thread"] * 1e9 / counters["contributions"],
        f"{log.name} stage / kernel": seconds["stage"] / seconds["kernel"],
        f"{log.name} stage / memory": seconds["stage"] / seconds["memory"],
    }
    figures: dict[str, object] = {
        "log": log.name,
        **{name: counters[name] for name in ("pair_lookups", "contributions", "edges")},
        **{f"{name} s": round(value, 3) for name, value in seconds.items()},
        "ns/look-up": round(seconds["kernel, 1 thread"] * 1e9 / counters["pair_lookups"], 2),
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
