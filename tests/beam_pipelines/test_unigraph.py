import collections
import json
import math
import shutil
import subprocess
import sys

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.run import pipeline_options
from beam_pipelines.subgraphs import subgraphs_configuration
from beam_pipelines.swing import run_swing
from beam_pipelines.unigraph import main, run_unigraph
from tests.beam_pipelines.unigraph_toy import (
    CAP,
    DAY,
    FIRST_DAY,
    GOODS,
    HALF_LIFE,
    ITEMS,
    LATEST,
    MIDDLE,
    USERS,
    read_graph,
    toy_logs,
    write_data,
)
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.errors import E2EGRecError


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), toy_logs())


@pytest.fixture(scope="module")
def run(description, tmp_path_factory):
    """RUN_DIR with graph, unigraph (latest snapshot, three shards) and middle (an earlier snapshot)."""
    directory = tmp_path_factory.mktemp("run")
    run_swing(description, directory / "graph")
    run_unigraph(description, directory / "graph", directory / "unigraph", ["--unigraph_shards=3"])
    run_unigraph(description, directory / "graph", directory / "middle", snapshot=MIDDLE)
    return directory


def explicit(logs, snapshot):
    """Edge set -> (user, item) -> (time, weight), by the definition."""
    end = snapshot * DAY
    events = collections.defaultdict(lambda: collections.defaultdict(list))
    for domain, behaviour in (("video", "click"), ("video", "like"), ("goods", "click")):
        log = logs[domain]
        for user, item, time, happened in zip(
            *(log[c] for c in ("user", "item", "time", behaviour)), strict=True
        ):
            if happened and end - 2 * DAY <= time < end:
                item_key = int(item) + (GOODS if domain == "goods" else 0)
                events[f"{behaviour}/{domain}"][int(user), item_key].append(int(time))
    return {
        name: capped(
            {
                pair: (max(times), math.fsum(0.5 ** ((end - time) / HALF_LIFE) for time in times))
                for pair, times in pairs.items()
            }
        )
        for name, pairs in events.items()
    }


def capped(edges):
    for end in (0, 1):
        by_node = collections.defaultdict(list)
        for pair, (time, _) in edges.items():
            by_node[pair[end]].append((-time, pair[1 - end], pair))
        edges = {pair: edges[pair] for rows in by_node.values() for _, _, pair in sorted(rows)[:CAP]}
    return edges


def swing_edges(directory, snapshot):
    tables = [
        pq.ParquetFile(f).read() for f in (directory / "graph" / "edges" / f"snapshot={snapshot}").iterdir()
    ]
    rows = pa.concat_tables(tables).to_pydict()
    return {(s, t): w for s, t, w in zip(rows["source"], rows["target"], rows["weight"], strict=True)}


@pytest.mark.parametrize(("name", "snapshot"), [("unigraph", LATEST), ("middle", MIDDLE)])
def test_edges_are_the_definition_on_the_window(run, name, snapshot):
    _, edges = read_graph(run / name)
    expected = explicit(toy_logs(), snapshot)
    assert set(expected) == {"click/video", "like/video", "click/goods"}
    for edge_set, rows in expected.items():
        assert edges[edge_set].keys() == rows.keys()
        for pair, (time, weight) in rows.items():
            assert edges[edge_set][pair]["time"] == [time]
            assert edges[edge_set][pair]["weight"] == pytest.approx([weight], rel=1e-6)
    swing = swing_edges(run, snapshot)
    found = {}
    for source_domain, target_domain in (
        ("video", "video"),
        ("video", "goods"),
        ("goods", "video"),
        ("goods", "goods"),
    ):
        rows = edges[f"swing/{source_domain}/{target_domain}"]
        assert rows
        assert all(
            (s >= GOODS, t >= GOODS) == (source_domain == "goods", target_domain == "goods") for s, t in rows
        )
        found |= {pair: row["weight"] for pair, row in rows.items()}
    assert {pair: [weight] for pair, weight in swing.items()} == found


def test_a_reversed_set_reads_the_same_edges_backwards(run):
    _, edges = read_graph(run / "unigraph")
    assert len(edges) == 2 * 9
    for name in [name for name in edges if not name.endswith("/reversed")]:
        backwards = {(target, source): row for (source, target), row in edges[f"{name}/reversed"].items()}
        assert backwards == edges[name]


def test_nodes_have_the_features_of_their_tables(run):
    nodes, edges = read_graph(run / "unigraph")
    start, end = (LATEST - 2) * DAY, LATEST * DAY
    for domain, offset in (("video", 0), ("goods", GOODS)):
        log = toy_logs()[domain]
        seen = set(log["item"][(log["time"] >= start) & (log["time"] < end)].tolist())
        described = range(1, ITEMS + 3 if domain == "video" else 6)
        assert {int(key) for key in nodes[domain]} == {key + offset for key in seen | set(described)}
    assert USERS + 7 not in {int(key) for key in nodes["user"]}
    for name, rows in nodes.items():
        assert all(row["#id"] == [key] and row["key"] == [int(key)] for key, row in rows.items()), name
    video = nodes["video"][b"5"]
    assert video["original_id"] == [b"5"]
    assert (video["author"], video["tags"], video["content"]) == ([50], [101, 102, -1], [5.0, 0.5])
    assert nodes["video"][b"2"]["author"] == [-1]
    assert nodes["goods"][str(GOODS + 2).encode()]["price"] == [3.0]
    assert math.isnan(nodes["goods"][str(GOODS + 9).encode()]["price"][0])
    assert nodes["user"][b"41"]["age"] == [4]
    assert nodes["user"][b"1"]["age"] == [-1]
    assert {int(key) for key in nodes["creator"]} == set(range(50, 55))
    items = range(1, ITEMS + 3)
    assert set(edges["video/creator"]) == {(i, 50 + i % 5) for i in items if i != 2}
    assert set(edges["video/tag"]) == {
        (i, tag) for i in items if i != 3 for tag in (100 + i % 4, 100 + i % 3)
    }
    assert {row["weight"][0] for row in edges["video/tag"].values()} == {1.0}


def test_beam_reader_and_schema_agree(run, monkeypatch):
    import tensorflow_gnn as tfgnn
    from tensorflow_gnn.data.unigraph import read_graph_and_schema

    monkeypatch.chdir(run)
    nodes, edges = read_graph(run / "unigraph")
    found = collections.Counter()
    with beam.Pipeline(options=pipeline_options()) as pipeline:
        schema, sets = read_graph_and_schema("unigraph", pipeline)  # a relative path
        for kind, named in sets.items():
            for name, rows in named.items():
                label = f"{kind}/{name}"
                _ = rows | f"Count/{label}" >> beam.combiners.Count.Globally() | f"Write/{label}" >> beam.Map(
                    lambda count, label=label: (run / f"count-{label.replace('/', '-')}").write_text(str(count))
                )  # fmt: skip
    for kind, named in ((tfgnn.NODES, nodes), (tfgnn.EDGES, edges)):
        for name, rows in named.items():
            found[kind] += 1
            counted = int((run / f"count-{kind}-{name.replace('/', '-')}").read_text())
            proto = (schema.node_sets if kind == tfgnn.NODES else schema.edge_sets)[name]
            assert counted == len(rows) == proto.metadata.cardinality
            assert set(proto.features) | {"#id", "#source", "#target"} >= set(next(iter(rows.values())))
    assert found == {tfgnn.NODES: 5, tfgnn.EDGES: 18}
    spec = tfgnn.create_graph_spec_from_schema_pb(schema)
    assert spec.node_sets_spec["video"]["tags"].shape.as_list() == [None, 3]
    assert spec.edge_sets_spec["swing/goods/video"].adjacency_spec.source_name == "goods"


def test_manifest_counts_and_describes(run):
    nodes, edges = read_graph(run / "middle")
    manifest = read_manifest(run / "middle", "unigraph", "e2egrec unigraph")
    details, counters, logs = manifest.details, manifest.counters, toy_logs()
    start, end = (MIDDLE - 2) * DAY, MIDDLE * DAY
    assert (details["snapshot"], details["window"]) == (MIDDLE, [start, end])
    times = np.concatenate([logs["video"]["time"], logs["goods"]["time"]])
    assert counters["graph_rows_before_window"] == (times < start).sum() > 0
    assert counters["graph_rows_after_snapshot"] == (times >= end).sum() > 0
    assert counters["graph_rows_in_window"] == ((times >= start) & (times < end)).sum()
    explicit_sets = [name for name, one in details["edge_sets"].items() if one["source"] == "user"]
    assert counters["explicit_edges_written"] == sum(len(edges[name]) for name in explicit_sets)
    assert counters["explicit_edges_capped_by_user"] > 0
    assert counters["explicit_edges_capped_by_item"] > 0
    assert counters["explicit_users_capped"] > 0
    pairs = {
        (domain, behaviour, int(user), int(item))
        for domain, behaviour in (("video", "click"), ("video", "like"), ("goods", "click"))
        for user, item, time, happened in zip(
            *(logs[domain][c] for c in ("user", "item", "time", behaviour)), strict=True
        )
        if happened and start <= time < end
    }
    lost = counters["explicit_edges_capped_by_user"] + counters["explicit_edges_capped_by_item"]
    assert counters["explicit_edges_written"] + lost == len(pairs)
    newest = max(row["time"][0] for name in explicit_sets for row in edges[name].values())
    assert start <= newest <= manifest.newest_edge_time < end
    for name, one in details["edge_sets"].items():
        assert one["edges"] == len(edges[name])
        for side, end_set in ((0, one["source"]), (1, one["target"])):
            degree = collections.Counter(pair[side] for pair in edges[name])
            degrees = sorted(degree[int(key)] for key in nodes[end_set])
            summary = one[f"{('source', 'target')[side]}_degree"]
            assert summary["isolated"] == degrees.count(0) / len(degrees)
            assert (summary["min"], summary["max"]) == (degrees[0], degrees[-1])
            assert summary["p50"] == degrees[math.ceil(len(degrees) / 2) - 1]
    both = collections.Counter(
        end for name in details["edge_sets"] for pair in edges[name] for end in pair if int(end) >= GOODS
    )
    assert details["node_sets"]["goods"] == {
        "nodes": len(nodes["goods"]),
        "degree": details["node_sets"]["goods"]["degree"] | {"max": max(both.values())},
    }


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--unigraph_partitions=5"],
        pytest.param(
            ["--unigraph_partitions=4", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_row_order_files_partitions_and_processes_change_nothing(run, tmp_path, flags):
    logs = toy_logs()
    for log in logs.values():
        order = np.random.default_rng(1).permutation(len(log["user"]))
        log.update({name: values[order] for name, values in log.items()})
    description = write_data(tmp_path / "data", logs, files=3)
    run_swing(description, tmp_path / "graph")
    other = run_unigraph(
        description, tmp_path / "graph", tmp_path / "unigraph", ["--unigraph_shards=3", *flags]
    )
    assert contents(tmp_path / "unigraph") == contents(run / "unigraph")
    manifest = read_manifest(run / "unigraph", "unigraph", "")
    assert other.details == manifest.details
    for name, value in manifest.counters.items():
        if name.startswith(("explicit_edges", "graph_rows", "nodes")):
            assert other.counters[name] == value, name


def test_shards_change_no_edge(run, description, tmp_path):
    run_unigraph(description, run / "graph", tmp_path / "unigraph", ["--unigraph_shards=1"])
    one, three = read_graph(tmp_path / "unigraph"), read_graph(run / "unigraph")
    assert one[1] == three[1]
    assert {name: rows.keys() for name, rows in one[0].items()} == {
        n: rows.keys() for n, rows in three[0].items()
    }


def test_the_future_changes_no_snapshot(run, tmp_path):
    logs = toy_logs()
    random = np.random.default_rng(2)
    for log in logs.values():
        future = np.flatnonzero(log["time"] >= MIDDLE * DAY)
        for name in ("user", "item", "click", "like"):
            log[name][future] = random.permutation(log[name][future])
    description = write_data(tmp_path / "data", logs)
    run_swing(description, tmp_path / "graph")
    run_unigraph(description, tmp_path / "graph", tmp_path / "middle", snapshot=MIDDLE)
    assert contents(tmp_path / "middle") == contents(run / "middle")


def test_one_item_that_everybody_clicked_keeps_its_most_recent_edges(tmp_path):
    users = 400
    log = {
        "user": np.arange(1, users + 1),
        "item": np.full(users, 1),
        "time": FIRST_DAY * DAY + np.arange(users),
        "click": np.ones(users, bool),
        "like": np.zeros(users, bool),
    }
    logs = toy_logs() | {"video": log}
    description = write_data(tmp_path / "data", logs, swing={"min_behaviours": 1})
    run_swing(description, tmp_path / "graph")
    manifest = run_unigraph(
        description, tmp_path / "graph", tmp_path / "out", ["--unigraph_partitions=3"], FIRST_DAY + 1
    )
    _, edges = read_graph(tmp_path / "out")
    assert set(edges["click/video"]) == {(user, 1) for user in range(users - CAP + 1, users + 1)}
    assert edges["like/video"] == {}
    assert manifest.counters["explicit_edges_capped_by_item"] >= users - CAP
    assert manifest.details["edge_sets"]["like/video"]["target_degree"]["isolated"] == 1.0


def test_optional_keys_leave_other_stages_alone(description):
    plain = {"explicit_half_life": None, "explicit_max_per_node": 1000, "node_sets": []}
    other = description.model_copy(update={"graph": description.graph.model_copy(update=plain)})
    assert subgraphs_configuration(description) == subgraphs_configuration(other)
    assert not set(plain) & set(subgraphs_configuration(description)["graph"])


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        ("30000", "the latest one is"),
        ("yesterday", "--snapshot must be"),
        ("99", "snapshot 99 has no edges that come from events"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(run, description, tmp_path, capsys, snapshot, words):
    arguments = ["--input", f"{description.data_root}/toy.yaml", "--graph", str(run / "graph")]
    arguments += ["--output", str(tmp_path / "out" / "unigraph"), "--snapshot", snapshot]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "unigraph").exists()


def test_ids_of_tables_must_be_those_of_the_logs(run, description, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(description.data_root, data)
    pq.write_table(pa.table({"user": ["40"], "age": [3]}), data / "users.parquet")
    other = load_description(data / "toy.yaml")
    run_swing(other, tmp_path / "graph")
    with pytest.raises(E2EGRecError, match="user ids are integers in"):
        run_unigraph(other, tmp_path / "graph", tmp_path / "unigraph")
    assert not (tmp_path / "unigraph").exists()


def test_main_prints_statistics(run, description, tmp_path, capsys):
    arguments = ["--input", f"{description.data_root}/toy.yaml", "--graph", str(run / "graph")]
    assert main([*arguments, "--output", str(tmp_path / "unigraph")]) == 0
    printed = capsys.readouterr().out
    assert "explicit_edges_capped_by_item" in printed
    assert "click/goods" in printed
    assert json.loads((tmp_path / "unigraph" / "manifest.json").read_text())["details"]["snapshot"] == LATEST


KILLED = """
import os, sys
from beam_pipelines import unigraph
from beam_pipelines.transforms import unigraph_node_files
from tf_e2egrec.dataset.description.load import load_description
unigraph_node_files.write_record_file = lambda *arguments: os._exit(9)
unigraph.run_unigraph(load_description(sys.argv[1]), sys.argv[2], sys.argv[3])
"""


def test_a_killed_run_leaves_no_artefact_and_spoils_no_older_one(run, description, tmp_path):
    file, output = f"{description.data_root}/toy.yaml", tmp_path / "run" / "unigraph"
    command = [sys.executable, "-c", KILLED, file, str(run / "graph"), str(output)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    assert not output.exists()
    run_unigraph(description, run / "graph", output, ["--unigraph_shards=3"])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["unigraph"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    assert contents(output) == contents(run / "unigraph")
