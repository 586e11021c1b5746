import numpy as np
import pytest
import tensorflow as tf

from tests.layers.graphs import scipy_matrix
from tests.toy_data import toy_batch, toy_model, toy_record, toy_records
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.training import GradNorm, RowSparseAdam


@pytest.fixture(scope="module")
def batch():
    return toy_batch(toy_records(48))


def compiled(model, rate=1e-2):
    model.compile(
        optimizer=tf.keras.optimizers.Adam(rate, jit_compile=False), embedding_optimizer=RowSparseAdam(rate)
    )
    return model


def ssl_and_gradients(model, batch, variables):
    with tf.GradientTape() as tape:
        loss = model.task_losses(*batch, training=True)["ssl"]
    return float(loss), tape.gradient(loss, variables)


def test_masked_with_graphsage_trains(batch):
    model = compiled(toy_model("R5", ssl_loss="masked", encoder="graphsage"))
    data = tf.data.Dataset.from_tensors(batch).repeat(5)
    history = model.fit(data, epochs=2, verbose=0, callbacks=[GradNorm(warmup_steps=2)]).history
    assert history["ssl_loss"][1] < history["ssl_loss"][0]
    assert history["ltr_loss"][1] < history["ltr_loss"][0]


@pytest.mark.parametrize(("variant", "encoder"), [("raw_sg", "lightgcn"), ("masked", "graphsage")])
def test_other_forms_and_encoders_survive_saving(variant, encoder, batch, tmp_path):
    model = toy_model("R5", ssl_loss=variant, encoder=encoder)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, E2EGRec)
    np.testing.assert_array_equal(again(batch[0])["reward"], model(batch[0])["reward"])
    loss, _ = ssl_and_gradients(model, batch, [])
    assert ssl_and_gradients(again, batch, [])[0] == loss
    assert np.isfinite(loss)


@pytest.mark.parametrize(
    ("variant", "reaches_embeddings"),
    [("relative", True), ("literal", True), ("raw_sg", False), ("masked", False)],
)
def test_the_raw_forms_train_the_encoder_and_leave_the_embeddings(variant, reaches_embeddings, batch):
    model = toy_model("R5", ssl_loss=variant)
    encoder = model.item_encoder
    tables = [
        encoder.id_embedding.embeddings, encoder.feature_embedding.embeddings["genre"].embeddings
    ]  # fmt: skip
    _, gradients = ssl_and_gradients(model, batch, [model.shared_kernel, *tables])
    assert float(tf.norm(gradients[0])) > 0
    for gradient in gradients[1:]:
        norm = 0.0 if gradient is None else float(tf.norm(tf.convert_to_tensor(gradient)))
        assert (norm > 0) == reaches_embeddings


def test_raw_sg_is_the_share_of_the_raw_features_that_the_encoder_misses(batch):
    """Recomputed with scipy from the batch graph; W_in is square."""
    model = toy_model("R5", ssl_loss="raw_sg")
    width = model.item_encoder.output_dim
    assert model.shared_kernel.shape == (width, width)
    np.testing.assert_array_equal(model.shared_kernel, np.eye(width))
    kernel = np.random.default_rng(0).normal(size=(width, width)).astype("f4")
    model.shared_kernel.assign(kernel)
    graph = batch[0]
    raw = model.item_encoder(graph.node_sets["item"].get_features_dict()).numpy().astype("f8")
    seed_item = graph.node_sets["seed"]["item"].numpy()
    swing = graph.edge_sets["swing"]
    edges = (
        swing.adjacency.source.numpy(), swing.adjacency.target.numpy(), swing["propagation_weight"].numpy()
    )  # fmt: skip
    matrix, linked = scipy_matrix(edges, (len(seed_item), len(raw)))
    z = 0.5 * (raw[seed_item] + matrix @ raw) @ kernel
    first = np.zeros(len(seed_item), bool)
    first[np.unique(seed_item, return_index=True)[1]] = True
    rows = linked & first
    expected = np.square(raw[seed_item] - z)[rows].sum() / np.square(raw[seed_item])[rows].sum()
    loss, _ = ssl_and_gradients(model, batch, [])
    assert loss == pytest.approx(expected, rel=1e-4)


def test_masked_reconstructs_from_the_neighbours():
    """Hidden fields cannot come from the seed itself: with all of them hidden, only a neighbour changes the loss."""
    model = toy_model("R5", ssl_loss="masked", mask_rate=0.999)
    rng = np.random.default_rng(0)
    model.self_supervision.decoder.kernel.assign(rng.normal(size=model.self_supervision.decoder.kernel.shape))

    def reconstruction(neighbour):
        record = toy_record(
            np.random.default_rng(7), candidate=100, recent=[], neighbours={0: [(neighbour, 1.0)]}, user=1
        )
        graph, _ = toy_batch([record])
        features = graph.node_sets["item"].get_features_dict()
        token = model.self_supervision.token[tf.newaxis]
        return model.encode_seeds(graph, model.item_encoder(features), seed_items=token).z.numpy(), (graph, _)

    (one, batch), (other, _) = reconstruction(101), reconstruction(102)
    assert np.abs(one - other).max() > 1e-4
    raw = model.item_encoder(batch[0].node_sets["item"].get_features_dict()).numpy()[:1]
    guess = model.self_supervision.decoder(one).numpy()
    blocks = np.split(np.arange(raw.shape[1]), np.cumsum(model.item_encoder.widths)[:-1])
    expected = np.mean(
        [np.square(raw - guess)[:, b].sum() / (np.square(raw)[:, b].sum() + 1e-6) for b in blocks]
    )
    loss, _ = ssl_and_gradients(model, batch, [])
    assert loss == pytest.approx(expected, rel=1e-3)


def test_masked_learns_what_the_neighbours_know():
    """Items of two kinds, each linked to its own kind: the hidden fields can be told from the neighbours."""
    model = compiled(toy_model("R5", ssl_loss="masked", mask_rate=0.5), 3e-2)
    table = np.zeros(model.item_encoder.id_embedding.embeddings.shape, "f4")
    table[1:, 0] = np.resize([1.0, -1.0], len(table) - 1)
    model.item_encoder.id_embedding.embeddings.assign(table)
    rng = np.random.default_rng(0)
    records = [
        toy_record(
            rng,
            candidate=100 + i,
            recent=[],
            neighbours={0: [(100 + j, 1.0) for j in (i + 2, i + 4)]},
            user=1,
        )
        for i in range(20)
    ]
    batch = toy_batch(records)
    before = np.mean([ssl_and_gradients(model, batch, [])[0] for _ in range(3)])
    trained = [model.shared_kernel, *model.self_supervision.trainable_variables]
    optimizer = tf.keras.optimizers.Adam(3e-2, jit_compile=False)
    optimizer.build(trained)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = model.task_losses(*batch, training=True)["ssl"]
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))

    for _ in range(80):
        step()
    assert ssl_and_gradients(model, batch, [])[0] < 0.7 * before


def test_masked_starts_near_the_score_of_zeros(batch):
    """Whatever the fields' units, so that a fixed task weight means the same on every data set."""
    model = toy_model("R5", ssl_loss="masked")
    assert ssl_and_gradients(model, batch, [])[0] == pytest.approx(1.0, abs=0.5)


def test_masks_follow_the_step_and_repeat_when_it_repeats(batch):
    model = compiled(toy_model("R5", ssl_loss="masked"))
    losses = []
    for step in (0, 1, 0):
        model.optimizer.iterations.assign(step)
        losses.append(ssl_and_gradients(model, batch, [])[0])
    assert losses[0] == losses[2] != losses[1]


def test_the_default_encoder_has_no_weights_and_graphsage_has(batch):
    assert not toy_model("R5").convolution.weights
    model = toy_model("R5", encoder="graphsage")
    assert len(model.convolution.weights) == len(model.user_convolution.weights) == 3
    with tf.GradientTape() as tape:
        loss = model.task_losses(*batch, training=True)["ltr"]
    for gradient in tape.gradient(loss, [*model.convolution.weights, *model.user_convolution.weights]):
        assert float(tf.norm(gradient)) > 0
