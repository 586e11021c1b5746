"""The synthetic logs of the Swing benchmarks: power laws over users and items, 28 days."""

from pathlib import Path
from typing import NamedTuple

DESCRIPTION = """
name: benchmark
interactions:
  paths: log.parquet
  user: user
  item: item
  time: {column: time, unit: ms}
  behaviours: {click: {always: true}}
ranker: {reward: click, negatives: {}}
graph: {positive: [click], explicit: [click], snapshots: SNAPSHOTS}
split: {by: time, labels_from: 2024-02-01, train_until: 2024-02-02, valid_until: 2024-02-03}
"""
BEGIN_MS, SPAN_MS = 1_704_067_200_000, 28 * 86_400_000  # January 2024


class Log(NamedTuple):
    """Size of a synthetic log."""

    name: str
    users: int
    items: int
    rows: int


LOGS = {
    log.name: log
    for log in (
        Log("10k", 1_000, 500, 10_000),
        Log("100k", 6_000, 4_000, 100_000),
        Log("1M sparse", 50_000, 20_000, 1_000_000),
        Log("1M dense", 6_000, 4_000, 1_000_000),
        Log("10M", 300_000, 100_000, 10_000_000),
        Log("30M", 900_000, 300_000, 30_000_000),
    )
}


def draw_log(log: Log) -> tuple:
    """User, item and time, int64 [rows] each, from a fixed seed."""
    import numpy as np

    random = np.random.default_rng(0)
    share = [(1.0 + np.arange(size)) ** -power for size, power in ((log.users, 0.6), (log.items, 0.8))]
    user, item = (random.choice(len(one), log.rows, p=one / one.sum()) for one in share)
    return user, item, BEGIN_MS + random.integers(0, SPAN_MS, log.rows)


def write_log(log: Log, folder: Path, snapshots: str = "{refresh: once}") -> Path:
    """Write the log and its description, and give the description's path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(dict(zip(("user", "item", "time"), draw_log(log), strict=True)))
    pq.write_table(table, folder / "log.parquet")
    path = folder / "log.yaml"
    path.write_text(DESCRIPTION.replace("SNAPSHOTS", snapshots), encoding="utf-8")
    return path
