import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_description, toy_model, toy_records
from tf_e2egrec.stages.pretrain import pretrain_graph


@pytest.fixture(scope="module")
def batch():
    return toy_batch(toy_records(48))


def dataset(batch, repeat):
    return tf.data.Dataset.from_tensors(batch).repeat(repeat)


def description(**training):
    toy = toy_description()
    fast = {"learning_rate": 0.01, "embedding_learning_rate": 0.01}
    return toy.model_copy(update={"training": toy.training.model_copy(update=fast | training)})


def test_bpr_runs_its_epochs_and_says_what_it_did(batch):
    network = toy_model("R2b")
    report = pretrain_graph(
        network, description(pretraining_epochs=3, patience=5), dataset(batch, 4), dataset(batch, 1)
    )
    assert (report["method"], report["steps"], report["collapsed"]) == ("bpr", 12, False)
    assert len(report["loss"]) == len(report["validation_loss"]) == 3
    assert report["loss"][2] < report["loss"][0]
    assert all(not layer.trainable for layer in network.cascade_layers)


def test_bpr_keeps_the_epoch_that_is_best_in_validation(batch):
    """Validation asks for what training did not show, and gets worse with every epoch."""
    graph, labels = batch
    opposite = (graph, {**labels, "reward": 1 - labels["reward"]})
    network, settings = toy_model("R2b"), description(pretraining_epochs=9, patience=1)
    report = pretrain_graph(network, settings, dataset(batch, 20), dataset(opposite, 1))
    best = int(np.argmin(report["validation_loss"]))
    assert len(report["validation_loss"]) == best + 2 < 9
    again = toy_model("R2b")
    pretrain_graph(
        again,
        description(pretraining_epochs=best + 1, patience=9),
        dataset(batch, 20),
        dataset(opposite, 1),
    )
    np.testing.assert_allclose(
        network.graph_item_encoder.id_embedding.embeddings,
        again.graph_item_encoder.id_embedding.embeddings,
        atol=1e-5,
    )


def test_gfae_stops_where_x_has_lost_half_of_its_rank():
    network, batch = toy_model("R2"), toy_batch(toy_records(200))
    report = pretrain_graph(
        network, description(pretraining_epochs=9, patience=9), dataset(batch, 40), dataset(batch, 1)
    )
    first, last = report["effective_rank"]
    assert report["collapsed"]
    assert report["steps"] < 9 * 40
    assert 0.4 * first < last < 0.5 * first  # the step at which it was noticed, not the end of the epoch


def test_without_validation_there_is_one_pass(batch):
    report = pretrain_graph(toy_model("R2b"), description(pretraining_epochs=7), dataset(batch, 3))
    assert (report["steps"], report["validation_loss"]) == (3, [])


def test_the_network_is_frozen_again_even_after_a_failure(batch):
    network = toy_model("R2b")
    graph, labels = batch
    data = dataset((graph, {"stay": labels["stay"]}), 3)  # of which the loss of R2b lacks the reward
    with pytest.raises(KeyError, match="reward"):
        pretrain_graph(network, description(), data)
    assert all(not layer.trainable for layer in network.cascade_layers)
