import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_model, toy_record, toy_records
from tf_e2egrec.losses import gfae_loss
from tf_e2egrec.models.graph_pretraining import GraphPretraining
from tf_e2egrec.training import RowSparseAdam

CASCADES = ("R2", "R2b")


@pytest.fixture(scope="module")
def batch():
    return toy_batch(toy_records(48))


def dataset(batch, repeat=10):
    return tf.data.Dataset.from_tensors(batch).repeat(repeat)


def compiled(model, rate=1e-2):
    model.compile(
        optimizer=tf.keras.optimizers.Adam(rate, jit_compile=False), embedding_optimizer=RowSparseAdam(rate)
    )
    return model


def pretrained(network, batch, steps=30):
    network.freeze_graph(False)
    history = compiled(GraphPretraining(network)).fit(dataset(batch, steps), verbose=0, epochs=2).history
    network.freeze_graph()
    return history


def values(variables):
    return {id(variable): variable.numpy() for variable in variables}


def changed(before, variables):
    return {id(v) for v in variables if (before[id(v)] != v.numpy()).any()}


def graph_weights(network):
    weights = [weight for layer in network.cascade_layers for weight in layer.weights]
    return [weight for weight in weights if weight.dtype.is_floating and "moments" not in weight.name]


@pytest.mark.parametrize("name", CASCADES)
def test_pretraining_trains_the_graph_and_nothing_else_and_the_ranker_the_rest(name, batch):
    network = toy_model(name)
    graph, ranker = graph_weights(network), network.trainable_variables
    assert not {id(v) for v in graph} & {id(v) for v in ranker}
    assert len(graph) + len(ranker) == len({id(v) for v in [*graph, *ranker]})
    before = values(graph) | values(ranker)
    history = pretrained(network, batch)
    assert history["loss"][1] < history["loss"][0]
    assert changed(before, graph) == {id(variable) for variable in graph}
    assert changed(before, ranker) == set()

    before = values(graph) | values(ranker)
    compiled(network).fit(dataset(batch), verbose=0)
    assert changed(before, graph) == set()
    assert len(changed(before, ranker)) > 0.9 * len(ranker)


@pytest.mark.parametrize("name", CASCADES)
def test_the_ranker_sees_what_was_pretrained(name, batch):
    """F_GNN comes from the frozen network: its item table moves the predictions, by its Z alone."""
    network = toy_model(name)
    before = network(batch[0])["reward"].numpy()
    network.graph_item_encoder.id_embedding.embeddings.assign_add(tf.ones([26, 8]))
    assert np.abs(network(batch[0])["reward"].numpy() - before).max() > 1e-4
    if name == "R2b":
        before = network(batch[0])["reward"].numpy()
        network.graph_user_encoder.id_embedding.embeddings.assign_add(tf.ones([13, 8]))
        assert np.abs(network(batch[0])["reward"].numpy() - before).max() > 1e-4


@pytest.mark.parametrize("name", CASCADES)
def test_saved_and_loaded_a_cascade_predicts_the_same_and_stays_frozen(name, batch, tmp_path):
    network = toy_model(name)
    pretrained(network, batch, steps=3)
    compiled(network).fit(dataset(batch, 3), verbose=0)
    network.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(batch[0])["reward"], network(batch[0])["reward"])
    assert len(again.trainable_variables) == len(network.trainable_variables)
    before = values(graph_weights(again))
    again.fit(dataset(batch, 3), verbose=0)  # compiled as it was
    assert changed(before, graph_weights(again)) == set()


def test_gfae_is_the_relative_loss_of_the_distinct_linked_seeds(batch):
    network = toy_model("R2")
    model = GraphPretraining(network)
    loss = float(model.task_losses(*batch, training=True)["gfae"])
    states = model(batch[0])
    items = batch[0].node_sets["seed"]["item"].numpy()
    first = np.zeros(len(items), bool)
    first[np.unique(items, return_index=True)[1]] = True
    kept = first & states.has_neighbours.numpy()
    assert 5 < kept.sum() < len(items)
    expected = gfae_loss(states.x[kept], states.z[kept], tf.fill([kept.sum()], True))
    assert loss == pytest.approx(float(expected), rel=1e-5)
    values = np.linalg.svd(states.x.numpy()[first], compute_uv=False)
    shares = values / values.sum()
    rank = np.exp(-(shares * np.log(shares)).sum())
    assert float(model.effective_rank) == pytest.approx(rank, rel=1e-4)


def test_by_gfae_x_loses_its_rank(batch):
    """The trap of the loss when nothing else holds X, and the reason why pretraining watches it."""
    network = toy_model("R2")
    model = GraphPretraining(network)
    model.task_losses(*batch, training=True)
    before = float(model.effective_rank)
    pretrained(network, batch, steps=150)
    model.task_losses(*batch, training=True)
    assert float(model.effective_rank) < 0.6 * before


def test_bpr_ranks_what_users_liked_above_what_they_did_not():
    """Users of two tastes: after pretraining, Z of a user meets Z of the liked half more closely, also for unseen pairs."""
    rng = np.random.default_rng(0)
    records, pairs = [], []
    for user in range(12):
        for item in rng.permutation(np.arange(100, 120))[:14]:
            record = toy_record(rng, candidate=int(item), recent=[], neighbours={}, user=user)
            liked = float(user % 2 == item % 2)
            records.append(_with_reward(record, liked))
            pairs.append((user, int(item)))
    network = toy_model("R2b")
    pretrained(network, toy_batch(records), steps=100)
    unseen = [(u, i) for u in range(12) for i in range(100, 120) if (u, i) not in pairs]
    asked, _ = toy_batch([toy_record(rng, candidate=i, recent=[], neighbours={}, user=u) for u, i in unseen])
    users = network.gnn_user_input(
        network.graph_user_encoder(asked.node_sets["user"].get_features_dict())
    ).numpy()
    states = GraphPretraining(network)(asked)
    scores = (users * states.z.numpy()).sum(axis=1)
    likes = np.array([u % 2 == i % 2 for u, i in unseen])
    assert (scores[likes][:, None] > scores[~likes][None]).mean() > 0.9


def _with_reward(record, reward):
    readout = record.node_sets["_readout"].get_features_dict()
    readout["reward"] = tf.constant([reward])
    return record.replace_features(node_sets={"_readout": readout})


def test_only_a_cascade_is_pretrained():
    with pytest.raises(ValueError, match="should be a cascade"):
        GraphPretraining(toy_model("R5"))
