import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import USERS, toy_batch, toy_description, toy_items, toy_model, toy_record, toy_users
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
from tf_e2egrec.models.warm_start import warm_start
from tf_e2egrec.training import FusedAdam, GradNorm, RowSparseAdam

OLD_ITEMS, NEW_ITEMS = (
    np.arange(100, 125),
    np.arange(105, 130),
)  # as many: shapes alone do not tell them apart


def compiled(model):
    model.compile(optimizer=FusedAdam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2))
    return model


def tomorrows_model(name="R5", genres=(0, 2, 3, 9)):
    tf.keras.utils.set_random_seed(5)
    description = toy_description()
    sizes = {"item": {"genre": len(genres)}, "user": {"age": 3}, "context": {"device": 3, "hour_of_day": 1}}
    inputs = ModelInputs.from_description(description, len(NEW_ITEMS), USERS, sizes)
    model = E2EGRec(inputs, description.model, variant_named(name))
    model.item_encoder.id_lookup.set_keys(NEW_ITEMS)
    model.user_encoder.id_lookup.set_keys(toy_users().key)
    model.item_encoder.feature_embedding.set_vocabulary("genre", np.array(genres))
    model.user_encoder.feature_embedding.set_vocabulary("age", np.arange(3))
    model.context_embedding.set_vocabulary("device", np.arange(3))
    model.context_embedding.set_vocabulary("hour_of_day", np.array([12]))
    return compiled(model)


def batch_of(items, count=24):
    rng = np.random.default_rng(1)
    records = []
    for _ in range(count):
        candidate, recent, neighbour = rng.choice(items, 3, replace=False)
        edges = {0: [(int(neighbour), 1.0)]}
        records.append(toy_record(rng, int(candidate), [int(recent)], edges))
    return toy_batch(records)


@pytest.fixture(scope="module")
def trained():
    model = compiled(toy_model())
    data = tf.data.Dataset.from_tensors(batch_of(OLD_ITEMS)).repeat(6)
    model.fit(data, verbose=0, callbacks=[GradNorm(warmup_steps=2)])
    return model


def test_predictions_of_what_both_know_are_the_same(trained):
    genre = toy_items().features["genre"]
    kept = [key for key in range(105, 125) if 1 not in genre[key - 100]]  # genre 1 is forgotten
    graph, _ = batch_of(kept)
    model = tomorrows_model()
    before = model(graph)["reward"].numpy()
    counts = warm_start(model, trained)
    assert counts["item"] == {"kept": 20, "new": 5, "forgotten": 5}
    assert counts["user"] == {"kept": USERS, "new": 0, "forgotten": 0}
    np.testing.assert_allclose(model(graph)["reward"], trained(graph)["reward"], rtol=1e-5)
    assert np.abs(before - trained(graph)["reward"]).max() > 1e-3


def test_the_optimisers_and_grad_norm_go_on(trained):
    model = tomorrows_model()
    warm_start(model, trained)
    assert int(model.optimizer.iterations) == int(trained.optimizer.iterations) == 6
    np.testing.assert_array_equal(model.balancer.task_weights, trained.balancer.task_weights)
    np.testing.assert_array_equal(model.balancer.initial_losses, trained.balancer.initial_losses)
    slots = []
    for one in (model, trained):
        _, tables = one._partition(one.trainable_variables)
        row = [id(variable) for variable in tables].index(id(one.item_encoder.id_embedding.embeddings))
        slots.append(one.embedding_optimizer._velocities[row].numpy())
    np.testing.assert_array_equal(slots[0][1:21], slots[1][6:])
    np.testing.assert_array_equal(slots[0][21:], 0)
    assert slots[1].max() > 0
    history = model.fit(tf.data.Dataset.from_tensors(batch_of(NEW_ITEMS)).repeat(3), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_new_items_start_at_their_neighbours(trained):
    model = tomorrows_model()
    table = NeighbourTable.from_edges([110, 124, 100], [126, 126, 127], [1.0, 1.0, 1.0])
    warm_start(model, trained, {"item": toy_items()}, table)
    ours, theirs = (one.item_encoder.id_embedding.embeddings.numpy() for one in (model, trained))
    np.testing.assert_allclose(ours[1 + 21], (theirs[1 + 10] + theirs[1 + 24]) / 2, rtol=1e-6)
    np.testing.assert_allclose(ours[1 + 22], theirs[1], rtol=1e-6)  # of one that is itself forgotten
    genre = toy_items().features["genre"]
    like = [theirs[1 + i] for i in range(25) if genre[28, 0] in genre[i] or genre[28, 1] in genre[i]]
    assert len(like) > 1 and ours[1 + 23].std() < np.array(like).std() + 1e-6


def test_another_architecture_is_refused(trained):
    with pytest.raises(E2EGRecError, match="same architecture"):
        warm_start(tomorrows_model("R4"), trained)
