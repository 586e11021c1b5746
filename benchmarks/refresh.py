"""Refresh: one more day, against making graph and subgraphs of the whole log again.

    python -m benchmarks.refresh [--quick] [--json]

The logs are synthetic: a number of days with equally many rows, power laws over users and items, hourly snapshots of
48 hours. The ratio is wall time of a refresh by one day over that of the two full stages on the same data; shares say
how much of the artefacts was made again. It is measured with logged exposures, and with `ranker.negatives`: a user's
event rejects the item as a negative of all the user's older positives, so old files change, too.
The fastest of three runs counts, after one that compiles.
"""

import contextlib
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reporting import benchmark_parser, pin_threads, report

DESCRIPTION = """
name: benchmark
interactions:
  paths: day-*.parquet
  user: user
  item: item
  time: {column: time, unit: ms}
  behaviours: {show: {always: true}, click: {column: click}}
ranker: {reward: click, derived: [item_age, recent_count]NEGATIVES}
graph: {positive: [click], explicit: [click], snapshots: {refresh: 1h, window: 48h}, swing: {min_behaviours: 2}}
split: {by: time, labels_from: 2024-01-02, train_until: 2024-01-12, valid_until: 2024-01-13}
"""
NEGATIVES = ", negatives: {per_positive: 4, window: 1d, every: 1h}"
BEGIN_MS, DAY_MS = 1_704_067_200_000, 86_400_000  # January 2024
DAYS = 14
REPEATS = 3


def write_day(folder: Path, day: int, rows: int) -> None:
    """A day's rows, as one file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(day)
    sizes = ((max(rows // 5, 50), 0.6), (max(rows // 10, 50), 0.8))
    share = [(1.0 + np.arange(size)) ** -power for size, power in sizes]
    user, item = (random.choice(len(one), rows, p=one / one.sum()) for one in share)
    moment = BEGIN_MS + day * DAY_MS + random.integers(0, DAY_MS, rows)
    click = random.random(rows) < 0.3
    table = pa.table({"user": user, "item": item, "time": moment, "click": click})
    pq.write_table(table, folder / f"day-{day:02d}.parquet")


def measure(rows: int, negatives: bool, folder: Path, repeats: int = REPEATS) -> dict[str, Any]:
    """Seconds of the full stages and of the refresh, and what the refresh made."""
    from beam_pipelines.refresh import run_refresh
    from beam_pipelines.subgraphs import run_subgraphs
    from beam_pipelines.swing import run_swing
    from tf_e2egrec.dataset.description.load import load_description

    (folder / "log.yaml").write_text(
        DESCRIPTION.replace("NEGATIVES", NEGATIVES if negatives else ""), encoding="utf-8"
    )
    description = load_description(folder / "log.yaml")

    def full(run: Path) -> None:
        run_swing(description, run / "graph")
        run_subgraphs(description, run / "graph", run / "subgraphs")

    for day in range(DAYS - 1):
        write_day(folder, day, rows)
    full(folder / "yesterday")
    write_day(folder, DAYS - 1, rows)
    seconds: dict[str, list[float]] = {"full": [], "refresh": []}
    for _ in range(repeats):
        started = time.perf_counter()
        full(folder / "full")
        seconds["full"].append(time.perf_counter() - started)
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(folder / "yesterday", folder / "run")
        started = time.perf_counter()
        done = run_refresh(description, folder / "run")
        seconds["refresh"].append(time.perf_counter() - started)
    snapshots, files = done.snapshots_computed + done.snapshots_reused, done.files_written + done.files_reused
    return {
        "negatives": "sampled" if negatives else "logged",
        "rows": rows * DAYS,
        "records": done.subgraphs.counters["records"],
        "full s": round(min(seconds["full"]), 2),
        "refresh s": round(min(seconds["refresh"]), 2),
        "refresh / full": round(min(seconds["refresh"]) / min(seconds["full"]), 3),
        "snapshots computed": f"{done.snapshots_computed} of {snapshots}",
        "files written": f"{done.files_written} of {files}",
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and report; there is no target."""
    arguments = benchmark_parser(__doc__).parse_args(argv)
    pin_threads()
    figures = []
    for negatives in (False, True):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            rows, repeats = (500, 1) if arguments.quick else (50_000, REPEATS)
            figures.append(measure(rows, negatives, Path(folder), repeats))
    ratios = {f"refresh / full, {row['negatives']} negatives": row["refresh / full"] for row in figures}
    return report("refresh", ratios, {}, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
