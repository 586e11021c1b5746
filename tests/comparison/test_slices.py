import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.job import read_logs
from tests.toy_data import toy_description
from tf_e2egrec.comparison.logs import all_events
from tf_e2egrec.comparison.slices import event_facts, neighbour_counts, read_slices
from tf_e2egrec.dataset.artefact import read_manifest, write_manifest
from tf_e2egrec.dataset.assemble import no_events
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files

DAY = 86_400_000
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 1, 2, DAY, DAY + 1, 5 * DAY])),
    max_size=25,
)


def columns(rows):
    return {
        name: np.array([row[place] for row in rows], np.int64)
        for place, name in enumerate(("user", "item", "time"))
    }


@given(ROWS, ROWS)
def test_facts_of_events_equal_brute_force(logged, asked):
    events = dataclasses.replace(no_events(toy_description()), **columns(logged))
    found = event_facts(events, columns(asked), time_is_rank=False)
    assert list(found) == ["item_age", "fresh", "item_popularity", "user_activity"]
    for row, (user, item, time) in enumerate(asked):
        seen = [t for _, i, t in logged if i == item and t <= time]
        age = time - min(seen) if seen else -1
        assert found["item_age"][row] == age
        assert found["fresh"][row] == (0 <= age < DAY)
        assert found["item_popularity"][row] == sum(i == item and t < time for _, i, t in logged)
        assert found["user_activity"][row] == sum(u == user and t < time for u, _, t in logged)
    ranks = event_facts(events, columns(asked), time_is_rank=True)
    assert list(ranks) == ["item_popularity", "user_activity"]
    np.testing.assert_array_equal(ranks["item_popularity"], found["item_popularity"])


def write_edges(directory, snapshot, part, targets):
    path = directory / "edges" / f"snapshot={snapshot}" / f"{part}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"source": targets[::-1], "target": targets}), path)
    return path


def test_neighbours_are_those_of_the_snapshot_that_serves_the_row(tmp_path):
    rng = np.random.default_rng(0)
    plan = SnapshotPlan(origin=0, refresh=10, window=1000)
    edges = {snapshot: [rng.integers(0, 30, 40) * 2, rng.integers(0, 30, 25)] for snapshot in (2, 3, 7)}
    for snapshot, parts in edges.items():
        for part, targets in enumerate(parts):
            write_edges(tmp_path, snapshot, part, targets)
    item, time = rng.integers(-1, 65, 300), rng.integers(-15, 90, 300)
    found = neighbour_counts(tmp_path, plan, item, time)
    expected = [
        int((np.concatenate(edges.get(t // 10, [np.zeros(0)])) == i).sum())
        for i, t in zip(item.tolist(), time.tolist(), strict=True)
    ]
    assert found.tolist() == expected
    assert 0 < np.mean(found > 0) < 1
    assert len(neighbour_counts(tmp_path, plan, item[:0], time[:0])) == 0


def test_a_damaged_edge_file_is_named(tmp_path):
    write_edges(tmp_path, 0, 0, np.array([1])).write_bytes(b"no parquet")
    with pytest.raises(E2EGRecError, match=r"snapshot=0/0.parquet is damaged .*make the graph again"):
        neighbour_counts(tmp_path, SnapshotPlan(0, 10, 10), np.array([1]), np.array([5]))


class Opener:
    """Opens files and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        return Path(path).open("rb")


@pytest.fixture
def small(job, data):
    """The small job: run, description, test rows in the order of predictions, log files."""
    run = RunDirectory(job[0])
    names = {"time": "time", "user": "user_id", "item": "item_id"}
    batches = readout_columns(record_files(run.subgraphs, "test"), dict.fromkeys(names.values(), "int64"))
    read = list(batches.as_numpy_iterator())
    rows = {mine: np.concatenate([batch[name] for batch in read]) for mine, name in names.items()}
    files = [(0, str(path)) for path in sorted((data.parent / "interactions").glob("*.parquet"))]
    return run, run.description(), rows, files


def test_slices_of_the_small_job(small, data, tmp_path):
    run, description, rows, files = small
    found = read_slices(tmp_path / "slices", run, description, rows, files, Opener())
    assert list(found) == ["item_age", "fresh", "item_popularity", "user_activity", "neighbours"]
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    np.testing.assert_array_equal(
        found["item_age"], rows["time"] - items.first_seen[items.lookup(rows["item"])]
    )
    logs = read_logs(data.parent)
    item, user, time = (logs[name].to_numpy() for name in ("video_id", "user_id", "time_ms"))
    for row in range(0, len(rows["time"]), 97):
        before = time < rows["time"][row]
        assert found["item_popularity"][row] == (before & (item == rows["item"][row])).sum()
        assert found["user_activity"][row] == (before & (user == rows["user"][row])).sum()
    assert found["neighbours"].max() > 0


def test_slices_are_made_once_and_again_for_other_rows_or_another_graph(small, tmp_path):
    run, description, rows, files = small
    opener, target = Opener(), tmp_path / "slices"
    first = read_slices(target, run, description, rows, files, opener)
    made, stored = opener.calls, pq.read_table(target / "rows.parquet")
    assert stored.column_names == ["time", "user", "item", *first]
    np.testing.assert_array_equal(stored["user"].to_numpy(), rows["user"])
    again = read_slices(target, run, description, rows, files, opener)
    assert opener.calls == made
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
        assert again[name].dtype == values.dtype

    reversed_rows = {name: values[::-1] for name, values in rows.items()}
    found = read_slices(target, run, description, reversed_rows, files, opener)
    assert opener.calls == 2 * made
    np.testing.assert_array_equal(found["neighbours"], first["neighbours"][::-1])

    manifest = read_manifest(target, "slices", "")
    write_manifest(target, manifest.model_copy(update={"fingerprint": "of another graph"}))
    read_slices(target, run, description, reversed_rows, files, opener)
    assert opener.calls == 3 * made
    (target / "rows.parquet").write_bytes(b"damaged")
    read_slices(target, run, description, reversed_rows, files, opener)
    assert opener.calls == 4 * made


def test_where_time_is_a_rank_counts_follow_each_users_own_order(tmp_path):
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(6), 5)
    log = {"user": user, "item": rng.integers(0, 4, 30), "time": np.tile(np.arange(5) * 3, 6), "click": np.ones(30, int)}  # fmt: skip
    path = tmp_path / "logs.parquet"
    order = rng.permutation(30)
    pq.write_table(pa.table({name: values[order] for name, values in log.items()}), path)
    description = parse_description(
        """
        name: ranks
        interactions:
          {paths: logs.parquet, user: user, item: item, time: {column: time, unit: rank}, behaviours: {click: {column: click}}}
        ranker: {reward: click}
        graph: {positive: [click], explicit: [click], snapshots: {refresh: 0.1}}
        split: {by: user_fraction, train_until: 0.6, valid_until: 0.8}
        """,
        "ranks.yaml",
    )
    events = all_events(description, [(0, str(path))], Opener())
    assert len(events) == 30
    rows = {"user": events.user, "item": events.item, "time": events.time}
    found = event_facts(events, rows, time_is_rank=True)
    assert found["user_activity"].tolist() == [0, 1, 2, 3, 4] * 6
    share = np.tile(np.arange(5) / 5, 6)  # of the user's rows that come before: the pseudo-time
    assert found["item_popularity"].tolist() == [
        int(((events.item == item) & (share < at)).sum())
        for item, at in zip(events.item.tolist(), share, strict=True)
    ]
