import numpy as np
import pytest
import tensorflow as tf

from tests.export.test_ranking_module import request, toy_neighbours
from tests.toy_data import (
    toy_batch,
    toy_description,
    toy_items,
    toy_model,
    toy_record,
    toy_records,
    toy_users,
)
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.losses import fit_duration_quantiles, quantile_of
from tf_e2egrec.models.stay_objective import StayObjective
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.training import RowSparseAdam

LOSSES = ("huber_log1p", "d2q", "wlr")
KNOWN = np.full(25, np.nan, "f4")
KNOWN[:10] = np.linspace(10, 100, 10)  # durations of items 100 to 109


def quantiles(groups):
    rng = np.random.default_rng(0)
    duration = rng.uniform(5, 100, 2000)
    return fit_duration_quantiles(rng.random(2000) * duration, duration, groups)


def model_of(loss):
    model = toy_model("R5", stay_loss=loss, duration_groups=8)
    if loss == "d2q":
        model.stay_objective.set_tables(quantiles(8), KNOWN)
    return model


def one(candidate, duration=np.nan):
    record = toy_record(np.random.default_rng(1), candidate=candidate, recent=[], neighbours={}, user=1)
    readout = record.node_sets[READOUT].get_features_dict()
    readout |= {"content_duration": tf.constant([duration], tf.float32), "stay": tf.constant([30.0])}
    return toy_batch([record.replace_features(node_sets={READOUT: readout})])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_stay_tower_learns_seconds_whatever_the_loss(loss):
    """Every row is the same impression, whose stay is 30 s: that is what all of them come to predict."""
    model = model_of(loss)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(5e-3, jit_compile=False), embedding_optimizer=RowSparseAdam(5e-3)
    )
    graph, labels = one(103)
    model.fit(tf.data.Dataset.from_tensors((graph, labels)).repeat(500), verbose=0)
    assert float(model(graph)["stay_seconds"][0]) == pytest.approx(30.0, rel=0.1)


@pytest.mark.parametrize("loss", LOSSES)
def test_predictions_stay_within_the_maximum_and_survive_saving(loss, tmp_path):
    model = model_of(loss)
    graph, _ = toy_batch(toy_records(20))
    model.stay_tower.head.bias.assign([50.0])
    seconds = model(graph)["stay_seconds"].numpy()
    assert ((seconds >= 0) & (seconds <= 100.0001)).all()
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(graph)["stay_seconds"], seconds)


def test_duration_comes_from_the_record_then_from_the_item_then_from_nowhere():
    model = model_of("d2q")
    lookup = model.item_encoder.id_lookup
    for candidate, given, expected in (
        (103, 77.0, 77.0), (103, np.nan, 40.0), (115, np.nan, np.nan), (129, np.nan, np.nan),
    ):  # fmt: skip
        graph, _ = one(candidate, given)
        duration = model.stay_objective.durations(graph, lookup).numpy()
        np.testing.assert_allclose(duration, [expected])
        readout = graph.node_sets[READOUT].get_features_dict()
        readout.pop("content_duration")  # as the graph of a request
        plain = graph.replace_features(node_sets={READOUT: readout})
        known = np.nan if candidate > 109 else 40.0
        np.testing.assert_allclose(model.stay_objective.durations(plain, lookup).numpy(), [known])


def test_longer_contents_get_more_seconds_for_the_same_output():
    model = model_of("d2q")
    seconds = [float(model(one(103, duration)[0])["stay_seconds"][0]) for duration in (10, 50, 95)]
    assert seconds[0] < 0.6 * seconds[1] < seconds[2]


def test_the_loss_is_that_of_the_candidates_own_duration_group():
    model = model_of("d2q")
    graph, labels = one(103)
    _, output, _ = model.forward(graph, training=False)
    label = float(quantile_of(tf.constant([30.0]), tf.constant([40.0]), quantiles(8))[0])
    model.reset_metrics()
    model.task_losses(graph, labels, training=False)
    expected = (1 / (1 + np.exp(-float(output[0]))) - label) ** 2
    assert float(model.stay_loss_tracker.result()) == pytest.approx(expected, rel=1e-4)


def test_a_request_is_answered_with_the_durations_of_known_items():
    """The exported `rank` signature; its graph has no durations, so the model's own table answers."""
    model = model_of("d2q")
    description = toy_description()
    graph = ServingGraph(description, toy_items(), toy_users(), toy_neighbours())
    module = RankingModule(model, graph, description, frozenset())
    rank = module.signatures()["rank"]
    arguments = request(3, [100, 109, 129])
    fitted = rank(**arguments)["stay_seconds"].numpy()[0]
    assert ((fitted > 0) & (fitted <= 100)).all()
    swapped = KNOWN.copy()
    swapped[[0, 9]] = KNOWN[[9, 0]]
    model.stay_objective.set_tables(quantiles(8), swapped)
    other = rank(**arguments)["stay_seconds"].numpy()[0]
    assert other[0] > 2 * fitted[0]  # item 100 now counts as the longest
    assert other[1] < fitted[1] / 2
    assert other[2] == fitted[2]  # unknown to both


@pytest.mark.parametrize("loss", LOSSES)
def test_start_is_the_best_constant_and_scale_its_loss(loss):
    rng = np.random.default_rng(0)
    duration = rng.uniform(5, 100, 4000).astype("f4")
    stay = (rng.uniform(0.2, 0.8, 4000) * duration).astype("f4")
    objective = StayObjective(loss, 600.0, items=3, groups=8)
    if loss == "d2q":
        objective.set_tables(fit_duration_quantiles(stay, duration, 8), np.full(3, np.nan))
    logs = np.log1p(stay)
    start, scale = objective.start_and_scale(logs.mean(), logs.std(), stay.mean())

    def at(value):
        return float(objective.loss(tf.constant(stay), tf.fill([4000], value), tf.constant(duration)))

    assert at(start) == pytest.approx(scale, rel=0.1)
    assert at(start) <= min(at(start - 0.3), at(start + 0.3))
