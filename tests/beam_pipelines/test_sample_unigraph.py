"""The sampling stage on a small graph in TF-GNN's layout, against sampling in memory and `tfgnn.parse_example`."""

import csv

import numpy as np
import pytest

from beam_pipelines.sample_unigraph import main, run_sample_unigraph
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.heterogeneous_sampling import adjacency_tables, sample_subgraphs
from tf_e2egrec.graph.sampling_plan import SamplingPlan

USERS, ITEMS, TAGS = 25, 40, 4
EDGE_SETS = {
    "click": ("user", "item"),
    "swing": ("item", "item"),
    "tagged": ("item", "tag"),
    "swing_back": ("item", "item"),
}
SCHEMA = """
node_sets { key: "user" value { features { key: "age" value { dtype: DT_INT64 } } metadata { filename: "users.csv" } } }
node_sets { key: "item" value {
  features { key: "price" value { dtype: DT_FLOAT } }
  features { key: "title" value { dtype: DT_STRING } }
  features { key: "vector" value { dtype: DT_FLOAT shape { dim { size: 2 } } } }
  metadata { filename: "items.tfrecord@2" } } }
node_sets { key: "tag" value {} }
edge_sets { key: "click" value { source: "user" target: "item"
  features { key: "weight" value { dtype: DT_FLOAT } } features { key: "time" value { dtype: DT_INT64 } }
  metadata { filename: "click.tfrecord@3" } } }
edge_sets { key: "swing" value { source: "item" target: "item"
  features { key: "weight" value { dtype: DT_FLOAT } } metadata { filename: "swing.csv" } } }
edge_sets { key: "tagged" value { source: "item" target: "tag" metadata { filename: "tagged.csv" } } }
edge_sets { key: "swing_back" value { source: "item" target: "item"
  features { key: "weight" value { dtype: DT_FLOAT } }
  metadata { filename: "swing.csv" extra { key: "edge_type" value: "reversed" } } } }
"""
PLAN = """
seed_node_set: item
top: 8
seed: 5
ops:
  - {name: near, edge_set: swing, fanout: 4}
  - {name: far, edge_set: swing, from: [near], fanout: 2}
  - {name: fans, edge_set: click, from: [seeds, near], fanout: 3, beta: 1}
  - {name: liked, edge_set: click, from: [fans], fanout: 2, direction: outgoing}
  - {edge_set: tagged, from: [liked, far], direction: outgoing}
"""


def random_edges() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    edges = {}
    for name, (rows, low, high) in {
        "click": (300, USERS, ITEMS),
        "swing": (250, ITEMS, ITEMS),
        "tagged": (40, ITEMS, TAGS),
    }.items():
        pairs = np.unique(rng.integers(0, [low, high], (rows, 2)), axis=0)
        weight = rng.choice([0.5, 1.0, 1.0, 4.0], len(pairs)) if name != "tagged" else np.ones(len(pairs))
        edges[name] = pairs[:, 0], pairs[:, 1], weight.astype(np.float32)
    return edges


def write_graph(
    folder, order_seed: int | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    import tensorflow as tf

    def feature(value):
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    def write_records(base, shards, rows):
        for shard in range(shards):
            with tf.io.TFRecordWriter(str(folder / f"{base}-{shard:05d}-of-{shards:05d}")) as writer:
                for row in rows[shard::shards]:
                    features = {name: feature(value) for name, value in row.items()}
                    writer.write(
                        tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
                    )

    def write_csv(name, header, rows):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    edges = random_edges()
    rng = np.random.default_rng(order_seed)

    def ordered(rows):
        return [rows[i] for i in rng.permutation(len(rows))] if order_seed is not None else rows

    write_csv("users.csv", ["id", "age"], ordered([[user, user + 20] for user in range(USERS)]))
    items = [
        {
            "#id": str(i).encode(),
            "price": float(i),
            "title": f"item {i}".encode(),
            "vector": [float(i), -float(i)],
        }
        for i in range(ITEMS - 1)  # the last item is not described
    ]
    write_records("items.tfrecord", 2, ordered(items))
    clicks = [
        {"#source": str(s).encode(), "#target": str(t).encode(), "weight": float(w), "time": int(100 * s + t)}
        for s, t, w in zip(*edges["click"], strict=True)
    ]
    clicks += [clicks[0] | {"weight": 0.1, "time": 7}]  # a lighter copy of an edge
    clicks += [clicks[0] | {"weight": float("nan")}, clicks[0] | {"#source": b"3", "weight": -1.0}]
    write_records("click.tfrecord", 3, ordered(clicks))
    write_csv(
        "swing.csv",
        ["source", "target", "weight"],
        ordered([list(row) for row in zip(*edges["swing"], strict=True)]),
    )
    write_csv(
        "tagged.csv",
        ["source", "target"],
        ordered([[s, f"{t}"] for s, t, _ in zip(*edges["tagged"], strict=True)]),
    )
    return edges


def load_plan(folder, text: str = PLAN) -> SamplingPlan:
    (folder / "plan.yaml").write_text(text)
    return SamplingPlan.load(folder / "plan.yaml")


def read_records(directory) -> list[bytes]:
    import tensorflow as tf

    files = sorted(str(path) for path in directory.glob("samples.tfrecord-*"))
    return sorted(record.numpy() for record in tf.data.TFRecordDataset(files))


def parse(directory) -> dict[tuple[int, int], object]:
    """Seed and target -> GraphTensor."""
    import tensorflow_gnn as tfgnn

    spec = tfgnn.create_graph_spec_from_schema_pb(tfgnn.read_schema(str(directory / "schema.pbtxt")))
    graphs = [tfgnn.parse_single_example(spec, record) for record in read_records(directory)]
    readouts = [graph.node_sets["_readout"] for graph in graphs]
    keys = [(int(one["seed_id"][0]), int(one["target_id"][0])) for one in readouts]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, graphs, strict=True))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample_unigraph")
    write_graph(folder / "graph")
    manifest = run_sample_unigraph(
        folder / "graph", load_plan(folder), folder / "out", seeds=str(seeds_file(folder))
    )
    return folder, manifest


def seeds_file(folder):
    path = folder / "seeds.csv"
    path.write_text("id\n" + "\n".join(str(item) for item in range(ITEMS)) + "\n")
    return path


def test_records_equal_sampling_in_memory(sampled):
    folder, manifest = sampled
    plan, edges = load_plan(folder), random_edges()
    expected = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), np.arange(ITEMS))
    graphs = parse(folder / "out")
    assert set(graphs) == {(item, -1) for item in range(ITEMS)}
    assert manifest.counters["records"] == ITEMS
    for (seed, _), graph in graphs.items():
        for name, nodes in expected.nodes.items():
            keys = nodes.keys[nodes.indptr[seed] : nodes.indptr[seed + 1]]
            np.testing.assert_array_equal(graph.node_sets[name]["#id"], keys)
        for name, lists in expected.edges.items():
            rows, found = slice(*lists.indptr[seed : seed + 2]), graph.edge_sets[name]
            np.testing.assert_array_equal(found.adjacency.source, lists.source[rows])
            np.testing.assert_array_equal(found.adjacency.target, lists.target[rows])
            np.testing.assert_array_equal(found["weight"], lists.weight[rows])
            for feature, share in (
                ("propagation_weight", lists.to_target),
                ("reverse_propagation_weight", lists.to_source),
            ):
                assert (feature in found.features) == (share is not None)
                if share is not None:
                    np.testing.assert_array_equal(found[feature], share[rows])
    assert manifest.details["uniform_edge_sets"] == ["tagged"]
    assert manifest.counters["bad_rows/click"] == manifest.counters["unusable_edges"] == 1
    for name in expected.edges:
        assert manifest.counters[f"edges/{name}"] == expected.edges[name].indptr[-1]


def test_features_of_nodes_and_edges_are_joined_in(sampled):
    folder, manifest = sampled
    for graph in parse(folder / "out").values():
        items, users, clicks = graph.node_sets["item"], graph.node_sets["user"], graph.edge_sets["click"]
        ids = items["#id"].numpy()
        known = ids < ITEMS - 1
        np.testing.assert_array_equal(items["price"].numpy()[known], ids[known])
        np.testing.assert_array_equal(items["vector"].numpy()[known], np.stack([ids, -ids], 1)[known])
        assert items["title"].numpy()[known].tolist() == [f"item {i}".encode() for i in ids[known]]
        assert np.isnan(items["price"].numpy()[~known]).all()
        np.testing.assert_array_equal(users["age"], users["#id"].numpy() + 20)
        source = users["#id"].numpy()[clicks.adjacency.source.numpy()]
        target = ids[clicks.adjacency.target.numpy()]
        np.testing.assert_array_equal(clicks["time"], 100 * source + target)
    assert manifest.counters["nodes_without_features/item"] == 1


def test_structured_readout_finds_the_seed(sampled):
    import tensorflow_gnn as tfgnn

    for (seed, _), graph in parse(sampled[0] / "out").items():
        assert tfgnn.structured_readout(graph, "seed", feature_name="#id").numpy().tolist() == [seed]


@pytest.mark.parametrize(
    ("beam_args", "rows_per_group"),
    [
        (("--sample_partitions=5", "--sample_files=3"), None),
        (("--sample_partitions=2", "--sample_files=1"), 4),
        (("--sample_partitions=3", "--direct_running_mode=multi_threading", "--direct_num_workers=2"), None),
        pytest.param(
            ("--sample_partitions=4", "--direct_running_mode=multi_processing", "--direct_num_workers=2"),
            None,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_row_order_partitions_and_hot_nodes_change_nothing(
    sampled, tmp_path, monkeypatch, beam_args, rows_per_group
):
    folder, _ = sampled
    write_graph(tmp_path / "graph", order_seed=1)
    if rows_per_group:  # every node counts as hot
        monkeypatch.setattr("beam_pipelines.sample_unigraph.ROWS_PER_GROUP", rows_per_group)
    manifest = run_sample_unigraph(
        tmp_path / "graph",
        load_plan(tmp_path),
        tmp_path / "out",
        seeds=str(seeds_file(tmp_path)),
        beam_args=beam_args,
    )
    assert (manifest.counters.get("hot_nodes", 0) > 0) == bool(rows_per_group)
    assert read_records(tmp_path / "out") == read_records(folder / "out")


def test_the_target_edge_is_left_out(tmp_path):
    edges = write_graph(tmp_path / "graph")
    text = PLAN.replace("seed_node_set: item", "seed_node_set: item\ntarget_edge_sets: [click, swing]")
    plan = load_plan(tmp_path, text)
    swing = {(int(t), int(s)) for s, t, _ in zip(*edges["swing"], strict=True) if s != t}
    pairs = sorted(swing)[:60]
    (tmp_path / "pairs.csv").write_text("source,target\n" + "".join(f"{s},{t}\n" for s, t in pairs))
    run_sample_unigraph(tmp_path / "graph", plan, tmp_path / "out", seeds=str(tmp_path / "pairs.csv"))
    graphs = parse(tmp_path / "out")
    assert sorted(graphs) == pairs
    expected = sample_subgraphs(
        plan, EDGE_SETS, adjacency_tables(plan, edges), np.array(pairs)[:, 0], np.array(pairs)[:, 1]
    )
    for row, (seed, target) in enumerate(pairs):
        found = graphs[seed, target].edge_sets["swing"].adjacency
        ids = graphs[seed, target].node_sets["item"]["#id"].numpy()
        ends = set(zip(ids[found.source.numpy()].tolist(), ids[found.target.numpy()].tolist(), strict=True))
        assert (target, seed) not in ends and (seed, target) not in ends
        lists = expected.edges["swing"]
        np.testing.assert_array_equal(found.source, lists.source[slice(*lists.indptr[row : row + 2])])


def test_reversed_edge_sets_read_the_same_files_backwards(tmp_path):
    write_graph(tmp_path / "graph")
    ids = "\n".join(str(item) for item in range(ITEMS))
    (tmp_path / "seeds.csv").write_text(f"id\n{ids}\n")
    results = []
    for name, ops in (("a", "[{edge_set: swing, direction: outgoing}]"), ("b", "[{edge_set: swing_back}]")):
        plan = load_plan(tmp_path, f"seed_node_set: item\nops: {ops}")
        run_sample_unigraph(tmp_path / "graph", plan, tmp_path / name, seeds=str(tmp_path / "seeds.csv"))
        results.append(
            {
                key: graph.node_sets["item"]["#id"].numpy().tolist()
                for key, graph in parse(tmp_path / name).items()
            }
        )
    assert results[0] == results[1]


def test_text_ids_become_the_keys_of_the_project(tmp_path):
    from tf_e2egrec.dataset.ids import string_keys

    folder = tmp_path / "graph"
    folder.mkdir()
    (folder / "schema.pbtxt").write_text(
        'node_sets { key: "item" value { metadata { filename: "n.csv" } } }\n'
        'edge_sets { key: "e" value { source: "item" target: "item" metadata { filename: "e.csv" } } }'
    )
    (folder / "n.csv").write_text("id\na\n007\n7\n")
    (folder / "e.csv").write_text("source,target\na,7\n007,7\n1152921504606846977,7\n")
    plan = load_plan(tmp_path, "seed_node_set: item\nops: [{edge_set: e}]")
    run_sample_unigraph(folder, plan, tmp_path / "out")
    a, zeros = string_keys(np.array([b"a", b"007"], object)).tolist()
    graphs = parse(tmp_path / "out")
    assert set(graphs) == {(a, -1), (zeros, -1), (7, -1)}
    assert set(graphs[7, -1].node_sets["item"]["#id"].numpy().tolist()) == {7, a, zeros, (1 << 60) + 1}


def test_mistakes_are_one_sentence_and_leave_nothing(tmp_path, capsys):
    write_graph(tmp_path / "graph")
    plan = tmp_path / "plan.yaml"
    for text, message in (
        ("seed_node_set: item\nops: [{edge_set: swng}]", "names the edge set `swng`; the graph has click"),
        ("seed_node_set: user\nops: [{edge_set: swing}]", "but starts from `user` nodes"),
        ("seed_node_set: item\nops: [{edge_set: swing, from: [x]}]", "starts from `x`, which is neither"),
        ("seed_node_set: item\nops: [{edge_set: swing, fanouts: 3}]", "`ops.0.fanouts`"),
        ("seed_node_set: tag\nops: [{edge_set: tagged}]", "pass --seeds"),
    ):
        plan.write_text(text)
        assert (
            main(["--graph", str(tmp_path / "graph"), "--plan", str(plan), "--output", str(tmp_path / "out")])
            == 2
        )
        assert message in capsys.readouterr().err
    plan.write_text("seed_node_set: item\nops: [{edge_set: swing}]")
    with (tmp_path / "graph" / "swing.csv").open("a") as file:
        file.write("".join(f"{item},,1\n" for item in range(20)))
    with pytest.raises(E2EGRecError, match=r"20 of \d+ rows of `swing` lack an id"):
        run_sample_unigraph(tmp_path / "graph", SamplingPlan.load(plan), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest = run_sample_unigraph(
        tmp_path / "graph", SamplingPlan.load(plan), tmp_path / "out", max_bad_share=0.5
    )
    assert manifest.counters["bad_rows/swing"] == 20
    assert read_manifest(tmp_path / "out", "sample_unigraph", "") == manifest
    (tmp_path / "graph" / "click.tfrecord-00001-of-00003").write_bytes(b"not a record")
    with pytest.raises(E2EGRecError, match="is no TFRecord file"):
        run_sample_unigraph(tmp_path / "graph", load_plan(tmp_path), tmp_path / "out")
    assert read_manifest(tmp_path / "out", "sample_unigraph", "") == manifest
