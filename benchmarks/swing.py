"""Swing: nanoseconds per contribution of the kernel, and the Beam stage's wall time against the kernel's.

    python -m benchmarks.swing [--sizes 100k,10M] [--quick] [--json]

The logs are synthetic, with power laws over users and items: 100k (6k users, 4k items), 1M (50k, 20k), "1M
dense" (6k, 4k) and 10M (300k, 100k; two minutes; `--quick` takes 10k). A contribution is one term of the
score's sum; nanoseconds per contribution are those of one thread, from prepared histories to edges. The
stage's time, from Parquet files to the published artefact (one snapshot), is compared with the kernel's on
two threads, in wall and in CPU time, and, without a target, with that of `swing_edges` in memory, which starts
from unordered arrays. The fastest of three runs counts, after one that compiles. At 100k the kernel is also
compared with a public Rust implementation, where that is installed (see `benchmarks/swing_rust.py`).
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report, shortest_of_each
from benchmarks.swing_logs import LOGS, Log, draw_log, write_log

SIZES, QUICK_SIZES = ("100k", "1M sparse", "1M dense", "10M"), ("10k",)
TARGETS = {
    "100k ns per contribution": Target("<=", 15.0),
    "kernel_vs_rust_100k": Target(">=", 40.0),
    "1M sparse ns per contribution": Target("<=", 15.0),
    "1M dense ns per contribution": Target("<=", 3.0),
    "1M sparse stage / kernel": Target("<=", 2.0),
    "1M dense stage / kernel": Target("<=", 1.5),
    "10M stage / kernel": Target("<=", 2.0),
    "10M stage / kernel, CPU": Target("<=", 1.4),
}


def cpu_seconds(action: Callable[[], Any]) -> float:
    """CPU time of all threads of this process while an action runs."""
    started = time.process_time()
    action()
    return time.process_time() - started


def measure(log: Log, threads: int, folder: Path) -> tuple[dict[str, float], dict[str, object]]:
    """Ratios by name, and the row of figures behind them."""
    from beam_pipelines.swing import run_swing
    from benchmarks.swing_rust import NOT_INSTALLED, rust_swing
    from tf_e2egrec.dataset.description.load import load_description
    from tf_e2egrec.graph.swing import SwingHistories, swing_edges, window_edges

    description = load_description(write_log(log, folder))
    user, item, moment = draw_log(log)
    spec = description.graph.swing
    histories = SwingHistories.from_interactions(user, item, moment, description.seed)
    counters = window_edges(histories, spec, threads=1).counters
    actions: dict[str, Callable[[], Any]] = {
        "kernel, 1 thread": lambda: window_edges(histories, spec, threads=1),
        "kernel": lambda: window_edges(histories, spec, threads=threads),
        "memory": lambda: swing_edges(user, item, moment, spec, description.seed, threads=threads),
        "stage": lambda: run_swing(description, folder / "graph"),
    }
    rust = rust_swing(user, item, threads) if log.name in ("100k", "10k") else None
    shortest_of_each(actions, 1)  # compiles
    seconds = shortest_of_each(actions)
    cpu = {name: min(cpu_seconds(actions[name]) for _ in range(2)) for name in ("kernel", "stage")}
    ratios = {
        f"{log.name} ns per contribution": seconds["kernel, 1 thread"] * 1e9 / counters["contributions"],
        f"{log.name} stage / kernel": seconds["stage"] / seconds["kernel"],
        f"{log.name} stage / kernel, CPU": cpu["stage"] / cpu["kernel"],
        f"{log.name} stage / memory": seconds["stage"] / seconds["memory"],
    }
    figures: dict[str, object] = {
        "log": log.name,
        **{name: counters[name] for name in ("pair_lookups", "contributions", "edges")},
        **{f"{name} s": round(value, 3) for name, value in seconds.items()},
        **{f"{name} CPU s": round(value, 3) for name, value in cpu.items()},
        "ns/look-up": round(seconds["kernel, 1 thread"] * 1e9 / counters["pair_lookups"], 2),
        "load": round(os.getloadavg()[0], 1),
    }
    if rust is not None:
        kernel_and_rust = shortest_of_each({"kernel": actions["kernel"], "rust": rust}, 2)
        figures["Rust s"] = round(kernel_and_rust["rust"], 3)
        ratios[f"kernel_vs_rust_{log.name}"] = kernel_and_rust["rust"] / kernel_and_rust["kernel"]
    elif log.name == "100k":
        print(NOT_INSTALLED, file=sys.stderr)
    return ratios, figures


def main(argv: list[str] | None = None) -> int:
    """Measure, report, and return 0 where the targets are met (always with `--quick`)."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--sizes", help="comma-separated names of logs: " + ", ".join(LOGS))
    arguments = parser.parse_args(argv)
    threads = pin_threads()
    names = arguments.sizes.split(",") if arguments.sizes else QUICK_SIZES if arguments.quick else SIZES
    logs = [LOGS[name.strip()] for name in names]
    ratios: dict[str, float] = {}
    figures = []
    for log in logs:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found, row = measure(log, threads, Path(folder))
        ratios |= found
        figures.append(row)
    measured = {name: target for name, target in TARGETS.items() if name in ratios}
    targets = {} if arguments.quick else measured
    return report("swing", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
