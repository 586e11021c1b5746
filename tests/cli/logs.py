"""The small data set in other shapes: formats, names, units, kinds of ids."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tests.cli.job import read_logs, rewrite

ChangeTable = Callable[[pa.Table], pa.Table]
ChangeContent = Callable[[dict[str, Any]], object]


def derived_data(
    data: Path,
    folder: Path,
    *,
    rows: ChangeTable = lambda table: table,
    videos: ChangeTable = lambda table: table,
    users: ChangeTable = lambda table: table,
    content: ChangeContent = lambda _: None,
    write: Callable[[pa.Table, Path], Path] | None = None,
    files: int = 1,
) -> Path:
    """Write a data set made from the small one; returns its description file.

    Args:
      data: the small data set's description file.
      folder: where to write.
      rows, videos, users: change the tables.
      content: changes the description.
      write: writes a log's table beside a path without ending and returns the file; Parquet if absent.
      files: the rows of the log are dealt out over this many files.
    """
    (folder / "interactions").mkdir(parents=True)
    table = rows(read_logs(data.parent))
    paths = [
        (write or write_parquet)(table.take(np.arange(number, len(table), files)), folder / f"interactions/log-{number}")
        for number in range(files)
    ]  # fmt: skip
    pq.write_table(videos(pq.read_table(data.parent / "videos.parquet")), folder / "videos.parquet")
    pq.write_table(users(pq.read_table(data.parent / "users.parquet")), folder / "users.parquet")

    def change(description: dict[str, Any]) -> None:
        description["interactions"][0]["paths"] = f"interactions/*{paths[0].suffix}"
        content(description)

    return rewrite(data, change, folder / "dataset.yaml")


def write_parquet(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def write_csv(table: pa.Table, path: Path) -> Path:
    pa_csv.write_csv(table, path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def write_jsonl(table: pa.Table, path: Path) -> Path:
    lines = [json.dumps(row) + "\n" for row in table.to_pylist()]
    path.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8")
    return path.with_suffix(".jsonl")


def as_text(table: pa.Table, column: str, prefix: str) -> pa.Table:
    """An integer column as texts such as `u17`."""
    texts = pc.binary_join_element_wise(prefix, pc.cast(table[column], pa.string()), "")
    return table.set_column(table.column_names.index(column), column, texts)


def edges_of(run: Path) -> list[tuple[Any, ...]]:
    """Every Swing edge of a run, ordered."""
    found = []
    for path in (run / "graph" / "edges").rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        found += [(path.parent.name, *row) for row in rows]
    return sorted(found)


def records_of(run: Path) -> dict[str, list[bytes]]:
    """Every record of a run's splits, in order."""
    import tensorflow as tf

    return {
        split: list(
            tf.data.TFRecordDataset(
                sorted(map(str, (run / "subgraphs" / split).glob("*.tfrecord")))
            ).as_numpy_iterator()
        )
        for split in ("train", "valid", "test")
    }
