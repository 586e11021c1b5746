"""The subgraphs stage as a whole, on a few hundred rows."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.subgraphs import main, run_subgraphs, subgraphs_fingerprint
from beam_pipelines.swing import run_swing
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan

DAY = 86_400_000
START = 18_262 * DAY  # 2020-01-01

TEXT = """
name: small
seed: 3
interactions:
  paths: log.parquet
  user: u
  item: i
  time: {column: t, unit: ms}
  behaviours: {click: {always: true}, like: {column: liked}}
  stay: {column: seconds}
  context: [{name: device, type: categorical}]
items:
  paths: items.parquet
  id: i
  features: [{name: price, type: numeric}]
ranker: {reward: like, derived: [hour_of_day, item_age, recent_count]NEGATIVES}
graph:
  positive: [click]
  explicit: [like]
  recent: 4
  snapshots: {refresh: 8h, window: 3d}
  swing: {min_behaviours: 2}
  sampling: {fanout: 6, recent_fanout: 3, top: 12}
split: {by: time, labels_from: 2020-01-03, train_until: 2020-01-05, valid_until: 2020-01-06}
"""
NEGATIVES = ", negatives: {per_positive: 2, window: 2d, every: 6h, pool_size: 50}"


def random_log(seed: int = 0, n: int = 900) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "u": rng.integers(0, 25, n),
        "i": np.minimum(rng.geometric(0.06, n), 40),
        "t": START + rng.integers(0, 6 * 24, n) * 3_600_000,  # many equal times
        "liked": rng.random(n) < 0.5,
        "seconds": rng.random(n) * 60,
        "device": rng.choice(["phone", "tv"], n),
    }


def write_data(folder: Path, log: dict[str, np.ndarray], negatives: bool = False) -> DatasetDescription:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(log), folder / "log.parquet")
    pq.write_table(pa.table({"i": np.arange(60), "price": np.arange(60) / 7}), folder / "items.parquet")
    (folder / "small.yaml").write_text(TEXT.replace("NEGATIVES", NEGATIVES if negatives else ""))
    return load_description(folder / "small.yaml")


def run(
    folder: Path, log: dict[str, np.ndarray], negatives: bool = False, beam_args: tuple[str, ...] = ()
) -> Path:
    description = write_data(folder, log, negatives)
    run_swing(description, folder / "graph")
    run_subgraphs(description, folder / "graph", folder / "subgraphs", beam_args)
    return folder / "subgraphs"


def read_split(directory: Path, split: str) -> list[dict[str, np.ndarray]]:
    import tensorflow as tf

    records = []
    for raw in tf.data.TFRecordDataset(sorted(map(str, (directory / split).glob("*.tfrecord")))):
        features = tf.train.Example.FromString(raw.numpy()).features.feature
        values = {k: np.array(f.float_list.value or f.int64_list.value) for k, f in features.items()}
        records.append(values | {"raw": raw.numpy()})
    return records


def read_all(directory: Path) -> list[dict[str, np.ndarray]]:
    return [record for split in ("train", "valid", "test") for record in read_split(directory, split)]


def digest(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("plain"), random_log())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("sampled"), random_log(), negatives=True)


def test_every_impression_is_written_once(plain):
    log = random_log()
    shown = log["t"] >= START + 2 * DAY
    records = read_all(plain)
    found = sorted(
        zip(
            *([int(r[f"nodes/_readout.{n}"][0]) for r in records] for n in ("user_id", "item_id", "time")),
            strict=True,
        )
    )
    assert found == sorted(zip(log["u"][shown], log["i"][shown], log["t"][shown], strict=True))
    assert len({int(r["nodes/_readout.impression_id"][0]) for r in records}) == len(records)
    likes = sum(float(r["nodes/_readout.reward"][0]) for r in records)
    assert likes == log["liked"][shown].sum()
    bounds = {"train": (2, 4), "valid": (4, 5), "test": (5, 6)}
    for split, (first, last) in bounds.items():
        times = [int(r["nodes/_readout.time"][0]) for r in read_split(plain, split)]
        assert times == sorted(times)
        assert START + first * DAY <= times[0]
        assert times[-1] < START + last * DAY


def test_recent_items_are_older_and_not_the_candidate(plain):
    log = random_log()
    for record in read_all(plain):
        user, item, time = (
            int(record[f"nodes/_readout.{name}"][0]) for name in ("user_id", "item_id", "time")
        )
        rows = (log["u"] == user) & (log["t"] < time) & log["liked"] & (log["i"] != item)
        latest = {int(i): int(log["t"][rows & (log["i"] == i)].max()) for i in log["i"][rows]}
        expected = sorted(latest, key=lambda key: (-latest[key], -key))[:4]
        recent = record["nodes/item.#id"][record["edges/recent.#source"].astype(int)].astype(int).tolist()
        assert recent == expected
        ages = [(time - latest[key]) / 1000 for key in expected]
        np.testing.assert_allclose(record["edges/recent.age"], ages, rtol=1e-6)
        assert int(record["nodes/item.#id"][0]) == item
        np.testing.assert_allclose(record["nodes/_readout.recent_count"], np.log1p(len(expected)), rtol=1e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_edges_come_from_the_snapshot_that_serves_the_moment(plain, split):
    plan = SnapshotPlan.from_description(load_description(plain.parent / "small.yaml"))
    with_edges = 0
    for record in read_split(plain, split):
        snapshot = int(plan.snapshot_at(record["nodes/_readout.time"])[0])
        table = NeighbourTable.load(plain.parent / "graph", snapshot)
        ids = record["nodes/item.#id"].astype(int)
        assert len(set(ids)) == len(ids)
        source, target = (ids[record[f"edges/swing.#{end}"].astype(int)] for end in ("source", "target"))
        recents = len(record["edges/recent.#source"])
        for position in range(1 + recents):
            chosen = record["edges/swing.#target"] == position
            row = table.rows_of(ids[position : position + 1])[0]
            edges = slice(table.indptr[row], table.indptr[row + 1]) if row >= 0 else slice(0, 0)
            weights = dict(zip(table.neighbours[edges][:12].tolist(), table.weights[edges][:12], strict=True))
            fanout = 6 if position == 0 else 3
            assert chosen.sum() == min(fanout, len(weights))
            assert [weights[key] for key in source[chosen]] == record["edges/swing.weight"][chosen].tolist()
            if split == "test":
                assert source[chosen].tolist() == list(weights)[:fanout]
            if chosen.any():
                np.testing.assert_allclose(
                    record["edges/swing.propagation_weight"][chosen].sum(), 1, rtol=1e-5
                )
        assert (source != target).all()
        with_edges += len(source) > 0
    assert with_edges > 50


def test_manifest_node_tables_and_schema(plain):
    log, description = random_log(), load_description(plain.parent / "small.yaml")
    manifest = read_manifest(plain, "subgraphs", "e2egrec subgraphs")
    shown = int((log["t"] >= START + 2 * DAY).sum())
    assert manifest.fingerprint == subgraphs_fingerprint(description)
    assert manifest.counters["records"] == shown
    assert sum(manifest.counters[f"impressions_{split}"] for split in ("train", "valid", "test")) == shown
    assert sum(entry["records"] for files in manifest.details["files"].values() for entry in files) == shown
    assert all(
        (plain / entry["file"]).stat().st_size == entry["bytes"]
        for files in manifest.details["files"].values()
        for entry in files
    )
    assert manifest.details["string_columns"] == ["device"]
    assert manifest.newest_edge_time is not None
    edges = sum(len(record["edges/swing.#source"]) for record in read_all(plain))
    assert manifest.counters["swing_edges"] == edges
    items = NodeTable.read_parquet(plain / "nodes" / "item.parquet")
    assert items.key.tolist() == list(range(60))
    seen = np.isin(items.key, log["i"])
    assert items.first_seen is not None and items.train_count is not None
    assert (items.first_seen[~seen] == -1).all()
    for key in items.key[seen]:
        own = log["i"] == key
        assert items.first_seen[key] == log["t"][own].min()
        assert items.train_count[key] == (own & (log["t"] < START + 4 * DAY)).sum()
    users = NodeTable.read_parquet(plain / "nodes" / "user.parquet")
    assert users.key.tolist() == sorted(set(log["u"].tolist()))
    assert (plain / "schema.pbtxt").read_text().count("propagation_weight") == 1
    assert not list(plain.rglob("*.statistics"))
    assert not list(plain.rglob(".*"))


def test_negatives_are_never_engaged_with(sampled):
    log = random_log()
    engaged = set(zip(log["u"].tolist(), log["i"].tolist(), strict=True))
    counters = read_manifest(sampled, "subgraphs", "").counters
    own = [
        (int(r["nodes/_readout.user_id"][0]), int(r["nodes/_readout.item_id"][0])) for r in read_all(sampled)
    ]
    negatives = [pair for pair in own if pair not in engaged]
    assert len(negatives) == counters["negatives"] > 100
    assert len(own) == counters["impressions_logged"] + counters["negatives"]
    assert 2 * counters["positives"] == counters["negatives"] + counters["negatives_missing"]
    by_request = {}
    for record in read_all(sampled):
        if float(record["nodes/_readout.reward"][0]):
            key = (int(record["nodes/_readout.user_id"][0]), int(record["nodes/_readout.time"][0]))
            by_request.setdefault(key, []).append(
                record["nodes/item.#id"][record["edges/recent.#source"].astype(int)].tolist()
            )
    for record, pair in zip(read_all(sampled), own, strict=True):
        if pair not in engaged:
            assert float(record["nodes/_readout.reward"][0]) == 0
            assert np.isnan(record["nodes/_readout.stay"][0])
            recent = record["nodes/item.#id"][record["edges/recent.#source"].astype(int)].tolist()
            assert recent in by_request[pair[0], int(record["nodes/_readout.time"][0])]


@pytest.mark.parametrize(
    "beam_args",
    [
        ("--subgraphs_partitions=5",),
        ("--subgraphs_partitions=3", "--direct_running_mode=multi_threading", "--direct_num_workers=2"),
        pytest.param(
            ("--subgraphs_partitions=4", "--direct_running_mode=multi_processing", "--direct_num_workers=2"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bytes_do_not_depend_on_row_order_partitions_or_workers(sampled, tmp_path, beam_args):
    log = random_log()
    order = np.random.default_rng(9).permutation(len(log["u"]))
    again = run(tmp_path, {name: values[order] for name, values in log.items()}, True, beam_args)
    assert digest(again) == digest(sampled)


def test_what_happens_later_does_not_reach_earlier_records(plain, tmp_path):
    log, cut = random_log(), START + 4 * DAY + 6 * 3_600_000
    later, rng = log["t"] >= cut, np.random.default_rng(1)
    for name in ("i", "liked", "seconds", "device"):
        log[name][later] = rng.permutation(log[name][later])
    log["u"][later] = rng.integers(0, 40, later.sum())
    other = run(tmp_path, log)
    before, after = (
        [record["raw"] for record in read_all(directory) if record["nodes/_readout.time"][0] < cut]
        for directory in (plain, other)
    )
    assert before == after
    assert len(before) > 300


def test_a_graph_of_something_else_is_refused(plain, tmp_path):
    description = write_data(tmp_path, random_log(seed=1))
    with pytest.raises(E2EGRecError, match="run `e2egrec swing` first"):
        run_subgraphs(description, tmp_path / "graph", tmp_path / "subgraphs")
    with pytest.raises(E2EGRecError, match="other data or another configuration"):
        run_subgraphs(description, plain.parent / "graph", tmp_path / "subgraphs")
    assert not (tmp_path / "subgraphs").exists()


def test_ids_of_two_kinds_are_refused(plain, tmp_path):
    description = write_data(tmp_path, random_log())
    pq.write_table(pa.table({"i": ["a", "b"], "price": [1.0, 2.0]}), tmp_path / "items.parquet")
    run_swing(description, tmp_path / "graph")
    with pytest.raises(E2EGRecError, match=r"item ids of domain `item` are integers in .* but text in"):
        run_subgraphs(description, tmp_path / "graph", tmp_path / "subgraphs")


def test_the_entry_point(plain, tmp_path, capsys):
    folder = plain.parent
    arguments = ["--input", str(folder / "small.yaml"), "--graph", str(folder / "graph")]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--subgraphs_partitions=2"]) == 0
    assert digest(tmp_path / "out") == digest(plain)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["stage"] == "subgraphs"
    arguments[3] = str(tmp_path / "nothing")
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "run `e2egrec swing` first" in capsys.readouterr().err


def test_logs_that_know_only_ranks(tmp_path):
    log = random_log()
    order = np.lexsort([log["t"], log["u"]])
    log = {name: values[order] for name, values in log.items()}
    log["t"] = np.arange(len(order))
    text = TEXT.replace("unit: ms", "unit: rank").replace("NEGATIVES", "")
    text = text.replace("refresh: 8h, window: 3d", "refresh: 0.25, window: all")
    split = "split: {by: user_fraction, train_until: 0.5, valid_until: 0.75}"
    write_data(tmp_path, log)
    (tmp_path / "small.yaml").write_text(text[: text.index("split:")] + split)
    description = load_description(tmp_path / "small.yaml")
    run_swing(description, tmp_path / "graph")
    manifest = run_subgraphs(description, tmp_path / "graph", tmp_path / "subgraphs")
    records = read_all(tmp_path / "subgraphs")
    assert len(records) == 900
    files = [path.name for path in sorted((tmp_path / "subgraphs").rglob("*.tfrecord"))]
    assert files == [
        f"impressions-{bucket:012d}-000.tfrecord" for bucket in (3, 0, 1, 2)
    ]  # test, train, valid
    ages = np.concatenate([record["edges/recent.age"] for record in records])
    assert 0 < ages.min() < ages.max() < 1
    assert {int(record["nodes/_readout.hour_of_day"][0]) for record in records} == {-1}
    first_quarter = [r for r in records if r["nodes/_readout.time"][0] < 250_000_000]
    assert sum(len(r["edges/swing.#source"]) for r in first_quarter) == 0  # snapshot 0 sees nothing
    assert manifest.counters["swing_edges"] > 0
