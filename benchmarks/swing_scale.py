"""Swing at scale: memory of the local run, bytes that travel, and work by number of snapshots.

    python -m benchmarks.swing_scale [--parts memory,shuffle,snapshots] [--sizes 100k,...] [--quick] [--json]

memory: peak resident memory of a whole local run of the stage, one process per size.
shuffle: bytes of the histories sent to item shards, by the code that the stage sends them with, against the
  model  c * b * sum over users of |I_u| * E[D_u],  E[D_u] = P (1 - (1 - 1/P)^a_u), the expected number of the
  P shards that a user with a_u distinct anchors touches; b is the number of bytes that the ranges of the log's
  items and times need in a row, and c, fitted over all points, says what users and headers add.
snapshots: CPU seconds of the stage, by refresh and window, on one log.
"""

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report
from benchmarks.swing_logs import LOGS, Log, draw_log, write_log

SIZES, QUICK_SIZES = ("100k", "1M sparse", "10M"), ("10k", "100k")
SHARDS = (1, 4, 16, 64, 256, 1024, 4096)
SNAPSHOTS = {
    "once": "{refresh: once}",
    "daily, all": "{refresh: 1d, window: all}",
    "daily, 7d": "{refresh: 1d, window: 7d}",
    "daily, 48h": "{refresh: 1d, window: 48h}",
    "hourly, 48h": "{refresh: 1h, window: 48h}",
}
TARGETS = {"10M peak GB": Target("<=", 3.0)}


def stage_run(path: Path, folder: Path) -> dict[str, float]:
    """Run the stage; seconds of wall and CPU time, the peak memory of this process, and the counters."""
    from beam_pipelines.swing import run_swing
    from tf_e2egrec.dataset.description.load import load_description

    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        counters = run_swing(load_description(path), folder / "graph").counters
    return {
        "wall s": round(time.perf_counter() - wall, 2),
        "CPU s": round(time.process_time() - cpu, 2),
        "peak GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3),
        **counters,
    }


def in_own_process(path: Path, folder: Path) -> dict[str, Any]:
    """`stage_run` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.swing_scale", "--stage", str(path), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_memory(log: Log) -> dict[str, Any]:
    """Peak memory of a whole local run."""
    with tempfile.TemporaryDirectory() as folder:
        found = in_own_process(write_log(log, Path(folder)), Path(folder))
    kept = ("wall s", "CPU s", "peak GB", "edges", "shipped_bytes")
    return {"log": log.name, **{name: found[name] for name in kept}, "load": round(os.getloadavg()[0], 1)}


def measure_shuffle(log: Log) -> list[dict[str, Any]]:
    """Bytes sent, and what the model needs, by number of shards."""
    import numpy as np

    from beam_pipelines.transforms.swing_shard import shard_of_items
    from tf_e2egrec.dataset.description.swing_spec import SwingSpec
    from tf_e2egrec.dataset.time_axis import FOREVER
    from tf_e2egrec.graph.snapshots import SnapshotPlan
    from tf_e2egrec.graph.swing_anchor_filter import SwingAnchorFilter
    from tf_e2egrec.graph.swing_histories import NEVER, SwingHistories
    from tf_e2egrec.graph.swing_share import shares_of_shards

    histories = SwingHistories.from_interactions(*draw_log(log), 0)
    anchors = SwingAnchorFilter(SnapshotPlan(FOREVER, FOREVER, FOREVER), SwingSpec())
    lengths = np.diff(histories.offsets)
    columns = np.repeat(histories.user, lengths), histories.item_keys[histories.item], histories.time
    thresholds = anchors.thresholds(anchors.candidates(histories, 1))
    is_anchor = anchors.is_anchor(*columns, histories.draw, thresholds)
    is_latest = histories.repeated_at == NEVER  # an item counts once
    n_anchors = np.add.reduceat((is_anchor & is_latest).astype(np.int64), histories.offsets[:-1])
    row_bytes = sum(_narrow_bytes(column) for column in columns[1:])
    rows = []
    for shards in SHARDS:
        shard = shard_of_items(columns[1], shards)
        sent = [len(share.to_bytes()) for _, share in shares_of_shards(*columns, shard, is_anchor, shards)]
        touched = shards * -np.expm1(n_anchors * np.log1p(-1 / shards)) if shards > 1 else n_anchors > 0
        rows.append(
            {
                "log": log.name,
                "shards": shards,
                "bytes": sum(sent),
                "bytes per interaction": round(sum(sent) / log.rows, 1),
                "largest / mean shard": round(max(sent) * shards / sum(sent), 2),
                "bytes per row": row_bytes,
                "model bytes": row_bytes * float((lengths * touched).sum()),
            }
        )
    return rows


def _narrow_bytes(column: Any) -> int:
    """Bytes per value of a packed column, from its range."""
    from tf_e2egrec.dataset.narrow_column import pack_narrow

    return len(pack_narrow(column)) // len(column)  # its 16 bytes of header and padding do not count


def fitted(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """The factor c, fitted in the logarithm, and the largest relative error of any point."""
    import numpy as np

    ratio = np.array([row["bytes"] / row.pop("model bytes") for row in rows])
    constant = float(np.exp(np.log(ratio).mean()))
    return constant, float(np.abs(ratio / constant - 1).max())


def measure_snapshots(log: Log) -> list[dict[str, Any]]:
    """Work by refresh and window; `rows in windows` counts a row once for each snapshot that sees it."""
    import numpy as np

    from tf_e2egrec.dataset.description.load import load_description
    from tf_e2egrec.graph.snapshots import SnapshotPlan

    rows = []
    for name, snapshots in SNAPSHOTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write_log(log, Path(folder), snapshots)
            plan = SnapshotPlan.from_description(load_description(path))
            found = in_own_process(path, Path(folder))
        moments = np.sort(draw_log(log)[2])
        seen = 0
        first = plan.snapshots_seeing(int(moments[0]))[0]
        for snapshot in range(first, plan.latest(int(moments[-1])) + 1):
            start, end = (int(np.searchsorted(moments, bound)) for bound in plan.window_of(snapshot))
            seen += end - start
        kept = ("snapshots", "shipped_bytes", "contributions", "edges", "wall s", "CPU s", "peak GB")
        rows.append({"snapshots of": name, "rows in windows": seen, **{one: found[one] for one in kept}})
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, report, and return 0 where the targets are met (always with `--quick`)."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--sizes", help="comma-separated names of logs: " + ", ".join(LOGS))
    parser.add_argument("--parts", default="memory,shuffle,snapshots", help="what to measure")
    parser.add_argument("--stage", nargs=2, metavar=("YAML", "DIR"), help="one run of the stage, as JSON")
    arguments = parser.parse_args(argv)
    if arguments.stage:
        print(json.dumps(stage_run(*map(Path, arguments.stage))))
        return 0
    pin_threads()
    names = arguments.sizes.split(",") if arguments.sizes else QUICK_SIZES if arguments.quick else SIZES
    logs, parts = [LOGS[name.strip()] for name in names], arguments.parts.split(",")
    ratios: dict[str, float] = {}
    figures: list[dict[str, Any]] = []
    if "memory" in parts:
        memory = [measure_memory(log) for log in logs]
        ratios |= {f"{row['log']} peak GB": row["peak GB"] for row in memory}
        figures += memory
    if "shuffle" in parts:
        rows = [row for log in logs for row in measure_shuffle(log)]
        ratios["shuffle bytes / model"], ratios["shuffle model, largest error"] = fitted(rows)
        figures += rows
    if "snapshots" in parts:
        figures += measure_snapshots(LOGS[QUICK_SIZES[0] if arguments.quick else "100k"])
    targets = {name: target for name, target in TARGETS.items() if name in ratios}
    return report("swing_scale", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
