import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.toy_data import toy_batch, toy_model, toy_record, toy_records
from tf_e2egrec.layers import GraphSAGEConv, LightGCNConv
from tf_e2egrec.models import VARIANTS, E2EGRec
from tf_e2egrec.training import GradNorm, RowSparseAdam


@pytest.fixture(scope="module")
def batch():
    return toy_batch(toy_records(48))


def dataset(batch, repeat=5):
    return tf.data.Dataset.from_tensors(batch).repeat(repeat)


def compiled(model):
    model.compile(
        optimizer=tf.keras.optimizers.Adam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2)
    )
    return model


# Of models that differ in name or in the graph they are given, one.
DISTINCT = [name for name, variant in VARIANTS.items() if variant.edges == "swing" and name != "R5-bottom"]


@pytest.mark.parametrize("name", DISTINCT)
def test_every_variant_trains_and_predicts(name, batch):
    model = compiled(toy_model(name))
    callbacks = [GradNorm(warmup_steps=2)] if VARIANTS[name].balance == "gradnorm" else []
    history = model.fit(dataset(batch, 15), verbose=0, callbacks=callbacks, epochs=2).history
    assert history["loss"][1] < history["loss"][0] or history["ltr_loss"][1] < history["ltr_loss"][0]
    output = model.predict(dataset(batch, 1), verbose=0)
    assert output["reward"].shape == output["stay_seconds"].shape == (48,)
    assert ((output["reward"] > 0) & (output["reward"] < 1)).all()
    assert ((output["stay_seconds"] >= 0) & (output["stay_seconds"] <= 100)).all()


def test_saved_and_loaded_it_predicts_the_same_and_keeps_the_balancers_state(batch, tmp_path):
    model = compiled(toy_model())
    model.fit(dataset(batch), verbose=0, callbacks=[GradNorm(warmup_steps=2)])
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, E2EGRec)
    np.testing.assert_array_equal(again(batch[0])["reward"], model(batch[0])["reward"])
    for ours, theirs in zip(again.balancer.weights, model.balancer.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for mine, other in (
        (again.optimizer, model.optimizer),
        (again.embedding_optimizer, model.embedding_optimizer),
    ):
        assert len(mine.variables) == len(other.variables) > 2
        for ours, theirs in zip(mine.variables, other.variables, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_evaluate_reports_losses_and_auc(batch):
    metrics = compiled(toy_model()).evaluate(dataset(batch, 1), verbose=0, return_dict=True)
    assert set(metrics) >= {"loss", "ssl_loss", "ltr_loss", "auc", "reward_loss", "stay_loss"}


@pytest.mark.parametrize(
    ("name", "reaches"),
    [("R0", False), ("R1", False), ("R1-post-convolution", True), ("R2", True), ("R2b", True), ("R3", True), ("R5", True)],
)  # fmt: skip
def test_only_the_graph_models_see_neighbours(name, reaches):
    """Changing a neighbour changes the prediction of the models with a graph, and of neither control."""
    outputs = []
    model = toy_model(name)
    for neighbour in (101, 102):
        record = toy_record(
            np.random.default_rng(7), candidate=100, recent=[], neighbours={0: [(neighbour, 1.0)]}, user=1
        )
        outputs.append(float(model(toy_batch([record])[0])["reward"][0]))
    assert (abs(outputs[0] - outputs[1]) > 1e-9) == reaches


def test_t1_the_ranking_gradient_reaches_the_encoder_through_neighbours():
    """Theorem 1: d L_LTR / d (embedding of a mere neighbour) is non-zero end to end, and zero without
    propagation.
    """
    record = toy_record(
        np.random.default_rng(7), candidate=100, recent=[], neighbours={0: [(103, 1.0)]}, user=1
    )
    graph, labels = toy_batch([record])
    for name, coupled in (("R5", True), ("R1", False)):
        model = toy_model(name)
        table = model.item_encoder.id_embedding.embeddings
        with tf.GradientTape() as tape:
            loss = model.task_losses(graph, labels, training=True)["ltr"]
        gradient = tf.convert_to_tensor(tape.gradient(loss, table)).numpy()
        row = int(model.item_encoder.id_lookup(tf.constant([103], tf.int64))[0])
        assert (np.abs(gradient[row]).max() > 0) == coupled


def test_post_convolution_trains_as_the_capacity_control_and_predicts_with_the_graph(batch):
    late, control, graph = (toy_model(name) for name in ("R1-post-convolution", "R1", "R3"))
    for other in (control, graph):
        other.set_weights(late.get_weights())
    for training, same in ((True, control), (False, graph), (None, graph)):
        logits = late.forward(batch[0], training=training)[0]
        np.testing.assert_array_equal(logits, same.forward(batch[0], training=training)[0])
    assert np.abs(late.forward(batch[0], training=True)[0] - late.forward(batch[0])[0]).max() > 1e-4
    losses = [float(model.task_losses(*batch, training=True)["ltr"]) for model in (late, control)]
    assert losses[0] == losses[1]


def test_graphsage_takes_the_place_of_lightgcn():
    model = toy_model("R5-graphsage")
    assert isinstance(model.convolution, GraphSAGEConv)
    again = E2EGRec.from_config(model.get_config())
    assert isinstance(again.convolution, GraphSAGEConv)
    assert isinstance(toy_model("R5").convolution, LightGCNConv)


def test_ssl_ignores_isolated_and_repeated_seeds():
    rng = np.random.default_rng(0)
    lone = toy_record(rng, candidate=105, recent=[], neighbours={})
    linked = toy_record(rng, candidate=100, recent=[], neighbours={0: [(101, 1.0)]})
    model = toy_model()
    losses = [
        float(model.task_losses(*toy_batch(records), training=False)["ssl"])
        for records in ([linked], [linked, lone], [linked, linked])
    ]
    assert losses[0] > 0
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_gnn_input_starts_as_the_identity_on_ids():
    kernel = toy_model().shared_kernel.numpy()
    np.testing.assert_array_equal(kernel[:8], np.eye(8))


def test_unknown_ids_share_a_row_that_starts_at_zero():
    model = toy_model()
    np.testing.assert_array_equal(model.item_encoder.id_embedding.embeddings[0], np.zeros(8))
    assert model.item_encoder.id_lookup(tf.constant([126, 5], tf.int64)).numpy().tolist() == [0, 0]


def test_without_stay_labels_there_is_no_stay_tower_and_the_output_keeps_its_shape(batch):
    model = toy_model()
    config = model.get_config()
    config["inputs"] |= {"has_stay": False}
    alone = E2EGRec.from_config(config)
    assert alone.stay_tower is None
    output = alone(batch[0])
    assert output["stay_seconds"].shape == output["reward"].shape
    np.testing.assert_array_equal(output["stay_seconds"], 0.0)


@pytest.mark.parametrize("name", ["R3", "R5"])
def test_the_order_of_projection_and_propagation_changes_nothing(name, monkeypatch):
    """(A E) W = A (E W): Z, the losses and all gradients."""

    def project_first(self, graph, edge_set_name, project):
        items = project(graph.node_sets["item"][tfgnn.HIDDEN_STATE])
        states = {"item": {tfgnn.HIDDEN_STATE: items}, "seed": dict(graph.node_sets["seed"].features)}
        return self(graph.replace_features(node_sets=states), edge_set_name)

    model, batch = toy_model(name), toy_batch(toy_records(24, seed=5))
    found = []
    for projected in (LightGCNConv.projected, project_first):
        monkeypatch.setattr(LightGCNConv, "projected", projected)
        with tf.GradientTape() as tape:
            losses = model.task_losses(*batch, training=False)
            total = tf.add_n(list(losses.values()))
        gradients = tape.gradient(total, [model.gnn_input.kernel, model.item_encoder.id_embedding.embeddings])
        found.append([model.forward(batch[0])[2].z, *losses.values(), *map(tf.convert_to_tensor, gradients)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
