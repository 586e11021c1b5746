"""The encoder against TensorFlow's own TFRecord reader, protobuf parser and `tfgnn.parse_example`."""

import numpy as np
import pytest

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.sampling import sample_neighbours
from tf_e2egrec.subgraphs.example_encoding import encode_subgraphs
from tf_e2egrec.subgraphs.record_feature import EDGE_SETS, NODE_SETS, subgraph_features
from tf_e2egrec.subgraphs.record_layout import RecordLayout
from tf_e2egrec.subgraphs.subgraph_batch import SubgraphBatch

DESCRIPTION = parse_description(
    """
name: tiny
interactions:
  paths: log.csv
  user: u
  item: i
  time: {column: t, unit: ms}
  behaviours: {click: {always: true}}
  context:
    - {name: device, type: categorical}
    - {name: price, type: numeric}
ranker: {reward: click, derived: [hour_of_day, recent_count]}
graph: {positive: [click], explicit: [click]}
split: {by: time, train_until: 2020-01-02, valid_until: 2020-01-03}
""",
    "test",
)
LAYOUT = RecordLayout.from_description(DESCRIPTION)


def random_batch(n: int, seed: int = 0) -> SubgraphBatch:
    rng = np.random.default_rng(seed)
    keys = np.r_[np.arange(40), (1 << 58) + np.arange(10), (3 << 59) + np.arange(10)].astype(np.int64)
    table = NeighbourTable.from_edges(
        rng.choice(keys, 300), rng.choice(keys[:30], 300), rng.random(300, dtype=np.float32)
    )
    sample = NeighbourSample.concatenate(
        [sample_neighbours(table, keys, 8), sample_neighbours(table, keys, 3)]
    )
    histories = [rng.choice(len(keys), size=rng.integers(0, 6), replace=False) for _ in range(max(n // 2, 1))]
    history = rng.integers(0, len(histories), n)
    candidate = np.array(
        [rng.choice(np.setdiff1d(np.arange(len(keys)), histories[h])) for h in history], np.int64
    )
    recent = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
    counts = sample.counts
    rows = np.where(counts[candidate] > 0, candidate, -1)
    readout = {name: rng.integers(-1, 1 << 40, n) for name in LAYOUT.int_columns}
    readout |= {name: rng.random(n, dtype=np.float32) for name in LAYOUT.float_columns}
    readout["stay"][::2] = np.nan
    return SubgraphBatch(
        candidate=keys[candidate], candidate_row=rows, user=rng.integers(0, 1 << 59, n), history=history,
        history_indptr=np.r_[0, np.cumsum([len(h) for h in histories])].astype(np.int64), recent=keys[recent],
        recent_row=recent + len(keys), age=rng.random(len(recent), dtype=np.float32) * 1e6, readout=readout, sample=sample,
    )  # fmt: skip


def expected_graph(batch: SubgraphBatch, i: int) -> dict[str, np.ndarray]:
    """Plain Python reading of the "Subgraph record" table."""
    history = slice(*batch.history_indptr[batch.history[i] : batch.history[i] + 2])
    nodes = [batch.candidate[i], *batch.recent[history]]
    stars = [batch.candidate_row[i], *batch.recent_row[history]]
    source, target, edges = [], [], []
    for node, row in enumerate(stars):
        for edge in range(batch.sample.indptr[row], batch.sample.indptr[row + 1]) if row >= 0 else []:
            if batch.sample.sources[edge] not in nodes:
                nodes.append(batch.sample.sources[edge])
            source.append(nodes.index(batch.sample.sources[edge]))
            target.append(node)
            edges.append(edge)
    recents = history.stop - history.start
    one = {f"nodes/{name}.#size": [1] for name in NODE_SETS} | {
        f"edges/{name}.#size": [1] for name in EDGE_SETS
    }
    ends = {f"edges/{name}.#{end}": [0] for name in EDGE_SETS for end in ("source", "target")}
    readout = {f"nodes/_readout.{name}": values[i : i + 1] for name, values in batch.readout.items()}
    special = {
        "nodes/item.#size": [len(nodes)], "nodes/item.#id": nodes, "nodes/user.#id": [batch.user[i]],
        "edges/swing.#size": [len(edges)], "edges/swing.#source": source, "edges/swing.#target": target,
        "edges/swing.weight": batch.sample.weights[edges], "edges/recent.#size": [recents],
        "edges/swing.propagation_weight": batch.sample.propagation_weights[edges],
        "edges/recent.#source": np.arange(recents) + 1, "edges/recent.#target": np.zeros(recents), "edges/recent.age": batch.age[history],
    }  # fmt: skip
    return one | ends | readout | special


def write(batch: SubgraphBatch, path) -> None:
    path.write_bytes(b"".join(chunk.tobytes() for chunk, _ in encode_subgraphs(batch, LAYOUT)))


@pytest.mark.parametrize("n", [1, 200])
def test_records_hold_what_the_table_says(tmp_path, n):
    import tensorflow as tf

    batch = random_batch(n)
    write(batch, tmp_path / "x.tfrecord")
    records = [
        record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord"))
    ]  # checks both checksums
    assert len(records) == n
    for i, record in enumerate(records):
        example = tf.train.Example.FromString(record)
        expected = expected_graph(batch, i)
        assert set(example.features.feature) == set(expected)
        for key, feature in example.features.feature.items():
            found = feature.float_list.value if feature.HasField("float_list") else feature.int64_list.value
            np.testing.assert_array_equal(
                np.asarray(found, np.asarray(expected[key]).dtype), expected[key], err_msg=f"{i} {key}"
            )
        assert (
            example.SerializeToString(deterministic=True) == record
        )  # canonical: keys in order, lists packed


def test_edge_counts_and_bounds():
    batch = random_batch(300, seed=1)
    edges = np.concatenate([edges for _, edges in encode_subgraphs(batch, LAYOUT)])
    assert edges.tolist() == [len(expected_graph(batch, i)["edges/swing.#source"]) for i in range(300)]
    assert (batch.node_and_edge_bounds()[1] == edges).all()


def test_an_empty_batch_is_an_empty_file():
    assert list(encode_subgraphs(random_batch(0), LAYOUT)) == []


def test_tfgnn_parses_the_records(tmp_path):
    import tensorflow as tf
    import tensorflow_gnn as tfgnn

    schema = tfgnn.GraphSchema()
    for feature in subgraph_features(DESCRIPTION):
        sets = schema.edge_sets if feature.is_edge else schema.node_sets
        sets[feature.set_name].features[feature.name].dtype = {"int64": tf.int64, "float32": tf.float32}[
            feature.dtype
        ].as_datatype_enum
    for name, (source, target) in EDGE_SETS.items():
        schema.edge_sets[name].source, schema.edge_sets[name].target = source, target
    spec = tfgnn.create_graph_spec_from_schema_pb(schema)
    batch = random_batch(50, seed=2)
    write(batch, tmp_path / "x.tfrecord")
    records = tf.stack(list(tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord"))))
    graph = tfgnn.parse_example(spec, records).merge_batch_to_components()
    expected = [expected_graph(batch, i) for i in range(50)]
    np.testing.assert_array_equal(
        graph.node_sets["item"]["#id"], np.concatenate([e["nodes/item.#id"] for e in expected])
    )
    np.testing.assert_array_equal(
        graph.edge_sets["swing"]["weight"], np.concatenate([e["edges/swing.weight"] for e in expected])
    )
    np.testing.assert_array_equal(
        graph.node_sets["_readout"]["impression_id"], batch.readout["impression_id"]
    )
    np.testing.assert_array_equal(graph.node_sets["_readout"]["device"], batch.readout["device"])
    candidates = tfgnn.structured_readout(graph, "candidate", feature_name="#id")
    np.testing.assert_array_equal(candidates, batch.candidate)
