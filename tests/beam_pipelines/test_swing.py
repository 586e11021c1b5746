import json
import subprocess
import sys

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.swing import main, run_swing, swing_configuration, swing_fingerprint
from beam_pipelines.transforms.log_digest import LogDigest
from beam_pipelines.transforms.swing_edges import SwingEdgeFiles
from beam_pipelines.transforms.swing_shard import snapshots_with_events
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing import swing_edges
from tf_e2egrec.graph.swing_reference import swing_reference

HOUR = 3_600_000
BEGIN = 1_704_067_200_000  # 2024-01-01
USERS, ITEMS, ROWS, HOURS = 40, 25, 700, 30
CONTENT = {
    "name": "toy",
    "seed": 3,
    "interactions": {
        "paths": "log-*.parquet",
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {"click": {"column": "click"}, "like": {"column": "like"}},
    },
    "ranker": {"reward": "click"},
    "graph": {
        "positive": ["click", "like"],
        "explicit": ["click"],
        "snapshots": {"refresh": "6h", "window": "12h"},
        "swing": {
            "top": 5,
            "min_behaviours": 2,
            "max_behaviours": 8,
            "max_users_per_item": 7,
            "normalise": True,
        },
    },
    "split": {
        "by": "time",
        "labels_from": "2024-01-01T12:00:00Z",
        "train_until": "2024-01-02",
        "valid_until": "2024-01-03",
    },
}


def toy_log():
    random = np.random.default_rng(0)
    return {
        "user": random.integers(0, USERS, ROWS),
        "item": np.minimum(random.geometric(0.12, ROWS), ITEMS),
        "time": BEGIN + random.integers(0, HOURS * HOUR, ROWS),
        "click": random.random(ROWS) < 0.7,
        "like": random.random(ROWS) < 0.2,
    }


def write_data(folder, log, files=2, **graph):
    folder.mkdir(exist_ok=True)
    for number in range(files):
        pq.write_table(
            pa.table({k: v[number::files] for k, v in log.items()}), folder / f"log-{number}.parquet"
        )
    content = CONTENT | {"graph": CONTENT["graph"] | graph}
    (folder / "toy.yaml").write_text(yaml.safe_dump(content))
    return load_description(folder / "toy.yaml")


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), toy_log())


@pytest.fixture(scope="module")
def graph(description, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "graph"
    return directory, run_swing(description, directory)


def edges_in(directory):
    """Snapshot -> rows (target, source, weight, normalised) over all shards, in order of target."""
    edges = {}
    for folder in (directory / "edges").iterdir():
        tables = [pq.ParquetFile(file).read() for file in folder.iterdir()]
        rows = pa.concat_tables(tables).to_pandas()
        rows = rows.sort_values("target", kind="stable")
        edges[int(folder.name.removeprefix("snapshot="))] = list(rows.itertuples(index=False, name=None))
    return edges


def test_every_snapshot_is_the_definition_on_its_window(graph, description):
    directory, _ = graph
    log = toy_log()
    plan = SnapshotPlan.from_description(description)
    positive = log["click"] | log["like"]
    found, expected = edges_in(directory), {}
    for snapshot in range(plan.latest(int(log["time"].max())) + 1)[-20:]:
        start, end = plan.window_of(snapshot)
        rows = positive & (log["time"] >= start) & (log["time"] < end)
        columns = (log[name][rows].tolist() for name in ("user", "item", "time"))
        reference = swing_reference(*columns, description.graph.swing, description.seed)
        if reference:
            expected[snapshot] = [(s, t, w) for t, row in reference.items() for s, w in row]
    assert found.keys() == expected.keys()
    assert len(found) == 5
    for snapshot, rows in expected.items():
        assert [row[:2] for row in found[snapshot]] == [row[:2] for row in rows]
        np.testing.assert_allclose([row[2] for row in found[snapshot]], [row[2] for row in rows], rtol=1e-6)


def test_manifest_describes_the_edges(graph, description):
    directory, manifest = graph
    log, edges = toy_log(), edges_in(directory)
    plan = SnapshotPlan.from_description(description)
    assert read_manifest(directory, "swing", "swing") == manifest
    assert manifest.fingerprint == swing_fingerprint(description)
    snapshots = manifest.details["snapshots"]
    assert {int(key): record["edges"] for key, record in snapshots.items()} == {
        k: len(v) for k, v in edges.items()
    }
    for key, record in snapshots.items():
        start, end = plan.window_of(int(key))
        assert record["valid_from"] == end
        assert start <= record["newest_event_time"] < end
    assert manifest.newest_edge_time == max(record["newest_event_time"] for record in snapshots.values())
    assert manifest.details["newest_event_time"] == log["time"].max()
    assert manifest.details["time_is_rank"] is False
    counters = manifest.counters
    assert counters["events"] == ROWS
    assert counters["positive_rows"] == (log["click"] | log["like"]).sum()
    assert counters["edges"] == sum(map(len, edges.values()))
    assert counters["items"] == len({row[1] for rows in edges.values() for row in rows})
    assert counters["snapshots"] == len(edges)
    assert counters["snapshot_users_capped"] > 0
    assert counters["snapshot_items_capped"] > 0


def test_files_are_sorted_and_typed(graph):
    directory, _ = graph
    for path in (directory / "edges").rglob("*"):
        if path.is_file():
            assert path.match("snapshot=*/shard-*.parquet")
            table = pq.ParquetFile(path).read()
            assert [str(kind) for kind in table.schema.types] == ["int64", "int64", "float", "float"]
            assert table.column_names == ["source", "target", "weight", "normalised"]
            columns = [table[name].to_numpy() for name in ("target", "weight", "source")]
            order = np.lexsort((columns[2], -columns[1], columns[0]))
            np.testing.assert_array_equal(order, np.arange(len(table)))


SAME = ("edges", "items", "positive_rows", "pair_lookups", "contributions", "users_below_min")


@pytest.mark.parametrize(
    "flags",
    [
        ["--swing_shards=5"],
        ["--swing_shards=3", "--swing_partitions=4", "--swing_threads=1"],
        ["--swing_partitions=7", "--swing_threads=3"],
        pytest.param(
            ["--swing_shards=4", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_shards_partitions_threads_and_processes_change_nothing(graph, description, tmp_path, flags):
    directory, manifest = graph
    other = run_swing(description, tmp_path / "graph", flags)
    assert edges_in(tmp_path / "graph") == edges_in(directory)
    assert other.details == manifest.details
    # Users that are certain to lose against an anchor cap may or may not travel to the item's shard.
    own = ("snapshot_files", "snapshot_anchor_users_capped")
    names = [name for name in manifest.counters if name.startswith("snapshot_") and name not in own]
    for name in [*SAME, *names]:
        assert other.counters[name] == manifest.counters[name], name


def test_row_order_and_files_change_nothing(graph, tmp_path):
    directory, manifest = graph
    order = np.random.default_rng(1).permutation(ROWS)
    shuffled = {name: values[order] for name, values in toy_log().items()}
    other = run_swing(write_data(tmp_path / "data", shuffled, files=5), tmp_path / "graph")
    files = [sorted(path for path in where.rglob("*.parquet")) for where in (directory, tmp_path / "graph")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    assert other.details == manifest.details


def test_the_future_changes_no_snapshot(graph, tmp_path):
    directory, _ = graph
    log = toy_log()
    turn = BEGIN + 18 * HOUR
    future = np.flatnonzero(log["time"] >= turn)
    random = np.random.default_rng(2)
    for name in ("user", "item", "click"):
        log[name][future] = random.permutation(log[name][future])
    description = write_data(tmp_path / "data", log)
    run_swing(description, tmp_path / "graph")
    plan = SnapshotPlan.from_description(description)
    before, after = edges_in(directory), edges_in(tmp_path / "graph")
    past = [snapshot for snapshot in before if plan.valid_from(snapshot) <= turn]
    assert len(past) == 3
    for snapshot in past:
        assert before[snapshot] == after[snapshot]
    assert any(before[snapshot] != after[snapshot] for snapshot in after if snapshot not in past)


@pytest.mark.parametrize(("refresh", "snapshots"), [("once", {0}), ("30h", None)])
def test_one_graph_before_the_labels_and_a_window_of_everything(tmp_path, refresh, snapshots):
    description = write_data(tmp_path / "data", toy_log(), snapshots={"refresh": refresh, "window": "all"})
    manifest = run_swing(description, tmp_path / "graph")
    plan = SnapshotPlan.from_description(description)
    found = set(edges_in(tmp_path / "graph"))
    assert found == (
        snapshots or set(range(min(found), plan.latest(manifest.details["newest_event_time"]) + 1))
    )
    for key, record in manifest.details["snapshots"].items():
        assert record["newest_event_time"] < record["valid_from"] == plan.valid_from(int(key))


def block(rows):
    """EventBlock of (user, item, time, behaviours, role)."""
    user, item, time, behaviours, role = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.full(len(user), np.nan, np.float32)
    session = np.full(len(user), -1)
    return EventBlock(
        user, item, time, behaviours.astype(np.uint32), role.astype(np.uint8), nothing, nothing, session
    ).sorted()


def test_only_positive_graph_rows_make_edges_and_every_row_counts_for_the_latest_snapshot(
    description, tmp_path
):
    rows = [(user, item, BEGIN, 1, GRAPH_ROW) for user in (1, 2) for item in (10, 11)]
    rows += [(user, 12, BEGIN, 1, RANKER_ROW) for user in (1, 2)]  # not for the graph
    rows += [(user, 13, BEGIN, 0, GRAPH_ROW) for user in (1, 2)]  # not positive
    rows += [(user, -1, BEGIN, 1, GRAPH_ROW) for user in (1, 2)]  # no item
    rows += [(3, 10, BEGIN, 1, GRAPH_ROW)]  # too few items
    rows += [(4, 10, BEGIN + 11 * HOUR, 0, RANKER_ROW)]  # served by a snapshot that still sees the edges
    pipeline = beam.Pipeline(options=pipeline_options())
    events = pipeline | beam.Create([(0, block(rows).to_bytes())]).with_output_types(tuple[int, bytes])
    digests = events | LogDigest(SnapshotPlan.from_description(description))
    _ = events | SwingEdgeFiles(description, str(tmp_path / "edges"), shards=2, threads=1, digests=digests)
    counters = run_pipeline(pipeline)
    edges = edges_in(tmp_path)
    first = BEGIN // (6 * HOUR) + 1
    assert sorted(edges) == [first, first + 1]
    assert all({row[:2] for row in rows} == {(10, 11), (11, 10)} for rows in edges.values())
    assert (counters["positive_rows"], counters["rows_without_key"]) == (5, 2)
    assert (counters["users_below_min"], counters["rows_of_users_below_min"]) == (1, 1)


@given(
    times=st.lists(st.integers(0, 50), max_size=8),
    refresh=st.integers(1, 9),
    window=st.integers(1, 20),
    later=st.integers(0, 30),
)
def test_snapshots_with_events_is_the_brute_force(times, refresh, window, later):
    plan = SnapshotPlan(origin=0, refresh=refresh, window=window)
    newest = max(times, default=0) + later
    expected = [
        snapshot
        for snapshot in range(plan.latest(newest) + 1)
        if any(plan.window_of(snapshot)[0] <= time < plan.window_of(snapshot)[1] for time in times)
    ]
    wanted = range(plan.latest(newest) + 1)
    assert snapshots_with_events(plan, np.array(times, np.int64), wanted) == expected


def test_configuration_holds_what_edges_depend_on(description):
    def changed(**parts):
        return swing_configuration(description.model_copy(update=parts)) != swing_configuration(description)

    assert changed(seed=4)
    assert changed(graph=description.graph.model_copy(update={"positive": ["click"]}))
    assert not changed(name="other")
    assert not changed(graph=description.graph.model_copy(update={"recent": 7}))
    json.dumps(swing_configuration(description))


def test_no_positive_behaviour_is_one_sentence_and_leaves_nothing(tmp_path, capsys):
    log = toy_log()
    log["like"] = np.zeros(ROWS, bool)
    write_data(tmp_path / "data", log, positive=["like"])
    arguments = ["--input", str(tmp_path / "data" / "toy.yaml"), "--output", str(tmp_path / "run" / "graph")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "like" in error
    assert "graph.positive" in error
    assert "Traceback" not in error
    assert list((tmp_path / "run").iterdir()) == []


def test_main_prints_counters(description, tmp_path, capsys):
    arguments = ["--input", f"{description.data_root}/toy.yaml", "--output", str(tmp_path / "graph")]
    assert main(arguments) == 0
    assert "snapshot_items_capped" in capsys.readouterr().out
    assert (tmp_path / "graph" / "manifest.json").exists()


def test_no_edges_is_an_artefact_without_snapshots(tmp_path):
    log = {name: values[:3] for name, values in toy_log().items()} | {"click": np.arange(3) < 2}
    manifest = run_swing(write_data(tmp_path / "data", log), tmp_path / "graph")
    assert manifest.details["snapshots"] == {}
    assert manifest.details["newest_event_time"] is None
    assert manifest.newest_edge_time is None


def test_an_item_that_everybody_clicked_stalls_no_shard(tmp_path):
    # 4,000 users clicked item 0; each has four items of a group of ten users besides.
    random, users, shards = np.random.default_rng(0), 4_000, 16
    user = np.repeat(np.arange(users), 5)
    item = np.stack(
        [np.zeros(users, int)] + [1 + np.arange(users) // 10 * 6 + i for i in range(4)], axis=1
    ).ravel()
    log = {"user": user, "item": item, "time": BEGIN + random.integers(0, HOUR, len(user))}
    log |= {"click": np.arange(len(user)) > 0, "like": np.ones(len(user), bool)}
    swing = {"max_users_per_item": 20, "top": 5}
    description = write_data(tmp_path / "data", log, snapshots={"refresh": "once"}, swing=swing)
    manifest = run_swing(
        description, tmp_path / "graph", [f"--swing_shards={shards}", "--swing_partitions=3"]
    )
    edges = edges_in(tmp_path / "graph")[0]
    reference = swing_edges(user, item, log["time"], description.graph.swing, description.seed)
    found = sorted((t, -w, s) for s, t, w in edges)
    assert found == list(zip(reference.target, -reference.weight, reference.source, strict=True))
    counters = manifest.counters
    assert counters["anchor_thresholds"] == 1
    assert users - 25 <= counters["anchor_rows_left_out"] <= users - 21
    # A user's other items lie in few shards; all of them would lie in the hot item's shard, too.
    assert counters["shipped_rows"] <= 4 * len(user)
    assert counters["snapshot_items_capped"] == reference.counters["items_capped"] == 1


KILLED = """
import os, sys
from beam_pipelines import swing
from beam_pipelines.transforms import swing_shard
from tf_e2egrec.dataset.description.load import load_description
swing_shard.write_edges_file = lambda *arguments: os._exit(9)
swing.run_swing(load_description(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_run_leaves_no_artefact_and_spoils_no_older_one(graph, description, tmp_path):
    file, output = f"{description.data_root}/toy.yaml", tmp_path / "run" / "graph"
    command = [sys.executable, "-c", KILLED, file, str(output)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    assert not output.exists()
    run_swing(description, output)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [
        "graph"
    ]  # the killed run's leftovers are gone
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    assert edges_in(output) == edges_in(graph[0])
