import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_items, toy_record, toy_records
from tf_e2egrec.subgraphs.graph_schema import READOUT


def edges_by_impression(graph):
    """For each impression: candidate key, recent keys in order, and (seed key -> {neighbour key: share}) read
    back from the batch graph.
    """
    ids = graph.node_sets["item"]["#id"].numpy()
    seed_key = ids[graph.node_sets["seed"]["item"].numpy()]
    swing, recent = graph.edge_sets["swing"], graph.edge_sets["recent"]
    candidate = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source.numpy()
    neighbours = [{} for _ in seed_key]
    for s, t, w in zip(
        swing.adjacency.source.numpy(),
        swing.adjacency.target.numpy(),
        swing["propagation_weight"].numpy(),
        strict=True,
    ):
        neighbours[t][int(ids[s])] = pytest.approx(float(w))
    result = []
    for row, seed in enumerate(candidate):
        mine = [
            s
            for s, u in zip(recent.adjacency.source.numpy(), recent.adjacency.target.numpy(), strict=True)
            if u == row
        ]
        result.append(
            (int(seed_key[seed]), [int(seed_key[s]) for s in mine], [neighbours[s] for s in [seed, *mine]])
        )
    return result


def test_compaction_keeps_every_impressions_subgraph():
    records = toy_records(20)
    graph, labels = toy_batch(records)
    found = edges_by_impression(graph)
    for record, (candidate, recent, neighbours) in zip(records, found, strict=True):
        ids = record.node_sets["item"]["#id"].numpy()
        count = len(recent)
        assert candidate == ids[0]
        assert recent == ids[1 : 1 + record.edge_sets["recent"].adjacency.source.shape[0]].tolist()
        expected = [{} for _ in range(1 + count)]
        swing = record.edge_sets["swing"]
        for s, t, w in zip(
            swing.adjacency.source.numpy(),
            swing.adjacency.target.numpy(),
            swing["propagation_weight"].numpy(),
            strict=True,
        ):
            expected[t][int(ids[s])] = float(w)
        assert neighbours == expected
    np.testing.assert_array_equal(
        labels["reward"], [r.node_sets[READOUT]["reward"].numpy()[0] for r in records]
    )


def test_items_are_distinct_and_carry_their_features():
    graph, _ = toy_batch(toy_records(20))
    ids = graph.node_sets["item"]["#id"].numpy()
    assert len(set(ids)) == len(ids)
    table = toy_items()
    np.testing.assert_array_equal(graph.node_sets["item"]["genre"], table.features["genre"][ids - 100])
    np.testing.assert_array_equal(graph.node_sets["item"]["length"], table.features["length"][ids - 100])


def test_an_item_keeps_separate_neighbourhoods_in_separate_impressions():
    """Two snapshots of the graph may give one item different neighbours: they must not be merged."""
    rng = np.random.default_rng(0)
    first = toy_record(rng, candidate=100, recent=[], neighbours={0: [(101, 1.0)]})
    second = toy_record(rng, candidate=100, recent=[], neighbours={0: [(102, 1.0)]})
    graph, _ = toy_batch([first, second])
    assert [n for _, _, n in edges_by_impression(graph)] == [[{101: 1.0}], [{102: 1.0}]]


def test_labels_are_no_features():
    graph, labels = toy_batch(toy_records(3))
    assert set(labels) == {"reward", "stay"}
    assert not set(labels) & set(graph.node_sets[READOUT].get_features_dict())


def test_unknown_items_have_missing_features():
    rng = np.random.default_rng(0)
    graph, _ = toy_batch([toy_record(rng, candidate=999, recent=[], neighbours={})])
    assert graph.node_sets["item"]["genre"].numpy().tolist() == [[-1, -1]]
    assert np.isnan(graph.node_sets["item"]["length"].numpy()).all()


def test_edges_are_sorted_by_target():
    graph, _ = toy_batch(toy_records(20))
    for name in ("swing", "recent"):
        target = graph.edge_sets[name].adjacency.target
        assert bool(tf.reduce_all(target[1:] >= target[:-1]))


def test_items_that_are_but_neighbours_stand_behind_the_others():
    records = [toy_record(np.random.default_rng(i), candidate=100 + i, recent=[110 + i]) for i in range(5)]
    graph, _ = toy_batch(records)
    placed = np.unique(graph.node_sets["seed"]["item"])
    np.testing.assert_array_equal(placed, np.arange(10))
    assert graph.node_sets["item"].sizes[0] > 10
