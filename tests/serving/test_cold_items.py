"""`python -m benchmarks.cold_items`: new items of the records become requests, and are ranked as the records are."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.cold_items import MODES, UNKNOWN, Cold, cold_impressions, figures_of, main, predictions
from tests.export.export_toys import toy_neighbours
from tests.toy_data import toy_batch, toy_description, toy_items, toy_model, toy_record, toy_users
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.serving_graph import ServingGraph

KNOWN = 25  # of the toy's items: those that its model has ids for
# Candidate, recent items (which have no neighbours), and neighbours of the candidate, heaviest first.
IMPRESSIONS = (
    (126, [120, 121], [(104, 3.0), (105, 1.0)]),
    (101, [122], [(103, 2.0)]),
    (128, [], []),
    (127, [124, 120, 123], [(100, 5.0), (111, 4.0), (124, 0.5)]),
)


def impression(candidate, recent, neighbours):
    record = toy_record(np.random.default_rng(candidate), candidate, recent, {0: neighbours})
    readout = record.node_sets["_readout"].get_features_dict()
    readout["recent_count"] = tf.constant([np.log1p(len(recent))], tf.float32)
    return record.replace_features(node_sets={"_readout": readout})


@pytest.fixture(scope="module")
def batch():
    return toy_batch([impression(*one) for one in IMPRESSIONS])


@pytest.fixture(scope="module")
def cold(batch):
    graph, labels = batch
    return cold_impressions(graph, labels["reward"], toy_items().key[KNOWN:])


def exported(model):
    items = toy_items()
    known = dataclasses.replace(
        items,
        key=items.key[:KNOWN],
        id=items.id[:KNOWN],
        features={name: values[:KNOWN] for name, values in items.features.items()},
        first_seen=items.first_seen[:KNOWN],
        train_count=items.train_count[:KNOWN],
    )
    graph = ServingGraph(toy_description(), known, toy_users(), toy_neighbours())
    return RankingModule(model, graph, toy_description(), frozenset(), "hybrid")


def test_only_new_items_become_requests(cold, batch):
    assert (cold.inputs["candidates"][:, 0] - UNKNOWN).tolist() == [126, 128, 127]
    np.testing.assert_array_equal(cold.reward, batch[1]["reward"].numpy()[[0, 2, 3]])
    assert cold.inputs["num_recent"].tolist() == [2, 0, 3]
    assert cold.inputs["recent"].tolist() == [[120, 121, 0], [0, 0, 0], [124, 120, 123]]
    assert cold.inputs["num_fresh_neighbours"].tolist() == [[2], [0], [3]]
    assert cold.inputs["fresh_neighbours"][2, 0].tolist() == [100, 111, 124]
    np.testing.assert_array_equal(cold.inputs["fresh_weights"][0, 0], [3.0, 1.0, 0.0])


def test_a_described_item_is_ranked_as_its_record(cold, batch):
    model = toy_model()
    module = exported(model)
    # The toy's records have weights that are raised to beta = 1/2 already.
    raw = cold.inputs | {"fresh_weights": cold.inputs["fresh_weights"] ** 2}
    rows = predictions(module, iter([Cold(raw, cold.reward)]))
    expected = model(batch[0], training=False)["reward"].numpy()[[0, 2, 3]]
    np.testing.assert_allclose(rows["features and neighbours"], expected, rtol=1e-5)
    np.testing.assert_allclose(rows["features"][1], expected[1], rtol=1e-5)  # it has no neighbours
    assert np.abs(rows["features"] - expected)[[0, 2]].min() > 1e-7
    nobody = {name: tf.constant(cold.inputs[name], spec.dtype) for name, spec in module.rank_inputs().items()}
    nobody["candidates"] = -tf.ones_like(nobody["candidates"])
    np.testing.assert_allclose(rows["unknown item"], module.rank(nobody)["reward"][:, 0], rtol=1e-6)
    assert np.abs(rows["unknown item"] - rows["features"]).min() > 1e-7


def test_figures_are_those_of_the_metrics():
    reward, user = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1, 1, 2, 2])
    scores = dict(zip(MODES, ([0.5] * 4, [0.9, 0.1, 0.3, 0.4], [0.9, 0.1, 0.4, 0.3]), strict=True))
    rows = {"reward": reward, "user": user} | {name: np.array(values) for name, values in scores.items()}
    found = figures_of(rows)
    assert found["unknown item"] == {"auc": 0.5, "gauc": 0.5}
    assert found["features"] == {"auc": 0.5 * 0.5 + 0.5, "gauc": 0.5}
    assert found["features and neighbours"] == {"auc": 1.0, "gauc": 1.0}


def test_what_is_no_run_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
