"""A damaged file is named in one sentence that says how to mend it; the command ends with code 2 and leaves what stood there."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.chain import BY_NAME, MODEL, Chain
from tests.faults.damage import cut, empty, first, flip
from tests.faults.tally import BAD_INPUTS, Tally
from tests.faults.warm_process import WarmProcess

TRAINED = f"models/{MODEL}/seed-0"


class Case(NamedTuple):
    """A damage, and what is said about it.

    Attributes:
      after: the stage whose RUN_DIR is damaged; the data are those of all days.
      spoil: takes (data, RUN_DIR).
      command: with DATA and RUN in it.
      says: patterns of the sentence.
    """

    after: str
    spoil: Callable[[Path, Path], object]
    command: tuple[str, ...]
    says: tuple[str, ...]


def log(data: Path) -> Path:
    return first(data, "interactions/*.parquet")


def manifest(directory: Path) -> Path:
    return directory / "manifest.json"


def foreign(path: Path) -> None:
    """A manifest of a later format."""
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


SWING = ("swing", "DATA", "--out", "RUN", "--force")
SUBGRAPHS = ("subgraphs", "DATA", "--out", "RUN", "--force")
REFRESH = ("refresh", "DATA", "--out", "RUN")
TRAIN = ("train", "DATA", "--out", "RUN", "--models", MODEL, "--force")
EVALUATE = ("evaluate", "RUN", "--force")
EXPORT = ("export", "RUN", "--model", MODEL)
RECORDS = "subgraphs/train/*.tfrecord"
SUBGRAPHS_AGAIN = "e2egrec subgraphs"

CASES = {
    "a log cut off": Case("refresh", lambda d, r: cut(log(d)), SWING, (r"day-00\.parquet` cannot be read", "damaged")),
    "an empty log": Case("refresh", lambda d, r: empty(log(d)), SWING, (r"day-00\.parquet` is empty", "write it again")),
    "a bit of a log's footer": Case(
        "refresh", lambda d, r: flip(log(d), 0.97), SWING, (r"day-00\.parquet` (cannot be read|has no column)",)
    ),
    "a table cut off": Case(
        "subgraphs", lambda d, r: cut(d / "videos.parquet"), REFRESH, (r"videos\.parquet` cannot be read",)
    ),
    "a table that is no table": Case(
        "subgraphs", lambda d, r: (d / "videos.parquet").write_text("id,title\n1,a\n"), REFRESH,
        (r"videos\.parquet` cannot be read as parquet",),
    ),
    "the graph's manifest cut off": Case(
        "refresh", lambda d, r: cut(manifest(r / "graph")), SUBGRAPHS, ("graph/manifest.json is damaged", "e2egrec swing")
    ),
    "the graph's manifest empty": Case(
        "refresh", lambda d, r: empty(manifest(r / "graph")), SUBGRAPHS, ("graph/manifest.json is damaged",)
    ),
    "the subgraphs' manifest cut off": Case(
        "refresh", lambda d, r: cut(manifest(r / "subgraphs")), TRAIN, ("subgraphs/manifest.json is damaged", SUBGRAPHS_AGAIN)
    ),
    "a manifest of another format": Case(
        "refresh", lambda d, r: foreign(manifest(r / "subgraphs")), TRAIN, ("in format 99", "e2egrec subgraphs` again")
    ),
    "no manifest": Case(
        "refresh", lambda d, r: manifest(r / "subgraphs").unlink(), TRAIN, ("holds no finished subgraphs", SUBGRAPHS_AGAIN)
    ),
    "edges cut off": Case(
        "refresh", lambda d, r: cut(first(r, "graph/edges/*/*.parquet")), SUBGRAPHS,
        ("the edges in .*shard-.*parquet are damaged", "e2egrec swing --force"),
    ),
    "a bit of the edges": Case(
        "refresh", lambda d, r: flip(first(r, "graph/edges/*/*.parquet"), 0.3), SUBGRAPHS,
        ("the edges in .*shard-.*parquet are damaged", "e2egrec swing --force"),
    ),
    "no bytes of edges": Case(
        "refresh", lambda d, r: empty(first(r, "graph/edges/*/*.parquet")), SUBGRAPHS, ("the edges in .* are damaged",)
    ),
    "records cut off": Case(
        "refresh", lambda d, r: cut(first(r, RECORDS)), TRAIN, (r"\.tfrecord is damaged", "e2egrec subgraphs --force")
    ),
    "a bit of a record": Case(
        "refresh", lambda d, r: flip(first(r, RECORDS)), TRAIN, (r"\.tfrecord is damaged", "e2egrec subgraphs --force")
    ),
    "a bit of a record's length": Case(
        "refresh", lambda d, r: flip(first(r, RECORDS), 0.0), TRAIN, (r"\.tfrecord is damaged",)
    ),
    "records that hold something else": Case(
        "refresh", lambda d, r: write_records(first(r, RECORDS)), TRAIN, (r"\.tfrecord is damaged",)
    ),
    "an empty shard of records": Case(
        "refresh", lambda d, r: empty(first(r, RECORDS)), TRAIN, (r"\.tfrecord is damaged: it has 0 bytes", "e2egrec subgraphs --force")
    ),
    "a missing shard of records": Case(
        "refresh", lambda d, r: first(r, RECORDS).unlink(), TRAIN, (r"\.tfrecord is missing", "e2egrec subgraphs --force")
    ),
    "the node table cut off": Case(
        "refresh", lambda d, r: cut(r / "subgraphs/nodes/item.parquet"), TRAIN, ("item.parquet is not a node table",)
    ),
    "a bit of the node table": Case(
        "refresh", lambda d, r: flip(r / "subgraphs/nodes/item.parquet", 0.2), TRAIN, ("item.parquet is not a node table",)
    ),
    "the model cut off": Case(
        "train", lambda d, r: cut(r / TRAINED / "model.keras"), EVALUATE, (r"model\.keras is damaged", "e2egrec train")
    ),
    "a bit of the model": Case(
        "train", lambda d, r: flip(r / TRAINED / "model.keras"), EVALUATE, (r"model\.keras is damaged", "e2egrec train")
    ),
    "no model": Case(
        "train", lambda d, r: (r / TRAINED / "model.keras").unlink(), EVALUATE, (r"model\.keras is (damaged|missing)",)
    ),
    "the model's manifest cut off": Case(
        "train", lambda d, r: cut(manifest(r / TRAINED)), EVALUATE, (r"seed-0/manifest\.json is damaged", "e2egrec train")
    ),
    "a bit of the model, to export": Case(
        "train", lambda d, r: flip(r / TRAINED / "model.keras"), EXPORT, (r"model\.keras is damaged", "e2egrec train")
    ),
    "the history cut off": Case(
        "train", lambda d, r: cut(r / TRAINED / "history.json"), EXPORT, (r"history\.json is damaged", "e2egrec train")
    ),
    "records of the test split cut off": Case(
        "train", lambda d, r: cut(first(r, "subgraphs/test/*.tfrecord")), EVALUATE, (r"\.tfrecord is damaged",)
    ),
    "the description cut off": Case(
        "train", lambda d, r: cut(r / "dataset.yaml", 0.6), EVALUATE, (r"dataset\.yaml",)
    ),
    "a description of binary": Case(
        "train", lambda d, r: (r / "dataset.yaml").write_bytes(b"\xff\x00\xfe"), EVALUATE, (r"dataset\.yaml",)
    ),
    "a refresh of cut edges": Case(
        "subgraphs", lambda d, r: cut(first(r, "graph/edges/*/*.parquet")), REFRESH,
        ("the edges of snapshot=.* are damaged", "e2egrec swing --force"),
    ),
}  # fmt: skip
SLOW = {name for name, case in CASES.items() if case.after == "train"}


def write_records(path: Path) -> None:
    """A sound TFRecord file of messages that are no subgraphs."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(b"not a graph")


def refused(chain: Chain, warm: WarmProcess, case: Case, folder: Path, tally: Tally) -> None:
    run = Path(shutil.copytree(chain.after(BY_NAME[case.after]), folder / "run"))
    data = Path(shutil.copytree(chain.whole.parent, folder / "data"))
    case.spoil(data, run)
    before = {target: digests_or_bytes(run / target) for target in ("graph", "subgraphs", TRAINED)}
    names = {"DATA": str(data / "dataset.yaml"), "RUN": str(run)}
    done = warm.command(*(names.get(part, part) for part in case.command), below=run)
    tally.count(BAD_INPUTS)
    assert "Traceback" not in done.err + done.out, done.err[-1500:]
    assert done.code == 2, done.err + done.out
    assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    for pattern in case.says:
        assert re.search(pattern, done.err), done.err
    assert {target: digests_or_bytes(run / target) for target in before} == before


def digests_or_bytes(directory: Path) -> object:
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", [name for name in CASES if name not in SLOW])
def test_damage(chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally, name: str) -> None:
    refused(chain, warm, CASES[name], tmp_path, tally)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_damage_of_what_was_trained(
    chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally, name: str
) -> None:
    refused(chain, warm, CASES[name], tmp_path, tally)
