"""What is claimed of training end to end, as mathematics that can be checked.

T1 (gradient coupling): the ranking loss reaches the encoder end to end and does not in a cascade, in first order (d L / d theta)
and in the mixed second order (d (grad_phi L) / d theta: how the encoder's learning bends the ranker's).
T2 (subspace): propagation alone shows the ranker nothing outside col(X), training with it does.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toy_data import toy_batch, toy_model, toy_records
from tf_e2egrec.layers import propagate_lightgcn
from tf_e2egrec.losses import gfae_loss

END_TO_END, CASCADES = ("R3", "R5"), ("R2", "R2b")


@pytest.fixture(scope="module")
def batch():
    return toy_batch(toy_records(24, seed=5))


def normalised(x):
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + 1e-6)


def smooth_model(name):
    """A model whose differences converge: smooth activations, no zero vector to take the norm of, and an exact normalisation.

    Keras's LayerNormalization is made of `tf.nn.moments`, which leaves out a term that counts in second order.
    """
    model = toy_model(name)
    if model.attention_fusion is not None:
        model.attention_fusion.normalization = normalised
    for layer in model._flatten_layers():
        if isinstance(layer, tf.keras.layers.Dense) and layer.activation is tf.keras.activations.relu:
            layer.activation = tf.nn.softplus
        if isinstance(layer, tf.keras.layers.Embedding):
            values = np.random.default_rng(1).normal(scale=0.3, size=layer.embeddings.shape)
            layer.embeddings.assign(values)
    return model


def encoder(model):
    """theta: the item embeddings that make X, and W_in."""
    items = model.graph_item_encoder or model.item_encoder
    return [items.id_embedding.embeddings, model.gnn_input.kernel]


def ranker(model):
    """phi: from F_GNN to the reward."""
    return [model.graph_features.projection.kernel, model.reward_tower.head.kernel]


def ranking_loss(model, batch):
    return model.task_losses(*batch, training=True)["ltr"]


def dense(gradients, variables):
    """Gradients as arrays; where there is no path there is no gradient, which is 0."""
    pairs = zip(gradients, variables, strict=True)
    return [np.zeros(v.shape, "f4") if g is None else tf.convert_to_tensor(g).numpy() for g, v in pairs]


def first_order(model, batch):
    with tf.GradientTape() as tape:
        loss = ranking_loss(model, batch)
    return dense(tape.gradient(loss, encoder(model)), encoder(model))


def probe(model, batch, directions):
    """<grad_phi L, u>, a scalar function of theta."""
    with tf.GradientTape() as tape:
        loss = ranking_loss(model, batch)
    gradients = tape.gradient(loss, ranker(model))
    return tf.add_n([tf.reduce_sum(g * u) for g, u in zip(gradients, directions, strict=True)])


def mixed(model, batch, directions):
    with tf.GradientTape() as tape:
        value = probe(model, batch, directions)
    return dense(tape.gradient(value, encoder(model)), encoder(model))


def directions_of(model, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=v.shape).astype("f4") for v in ranker(model)]


def difference(model, batch, directions, step, size):
    """Central difference of the probe along `step` in theta."""
    values = []
    for sign in (1.0, -1.0):
        for variable, change in zip(encoder(model), step, strict=True):
            variable.assign_add(sign * size * change)
        values.append(float(probe(model, batch, directions)))
        for variable, change in zip(encoder(model), step, strict=True):
            variable.assign_sub(sign * size * change)
    return (values[0] - values[1]) / (2 * size)


@pytest.mark.parametrize("name", END_TO_END)
def test_t1_end_to_end_the_ranking_loss_reaches_the_encoder(name, batch):
    for gradient in first_order(smooth_model(name), batch):
        assert np.abs(gradient).max() > 1e-6


@pytest.mark.parametrize("name", CASCADES)
def test_t1_in_a_cascade_it_does_not_not_even_when_the_encoder_may_train(name, batch):
    model = smooth_model(name)
    for frozen in (True, False):
        model.freeze_graph(frozen)
        with tf.GradientTape() as tape:
            loss = ranking_loss(model, batch)
        theta = [variable for layer in model.cascade_layers for variable in layer.weights]
        assert len(theta) >= 3
        assert tape.gradient(loss, [v for v in theta if v.dtype.is_floating]) == [None] * sum(
            v.dtype.is_floating for v in theta
        )


def test_t1_the_first_order_is_the_slope_of_the_loss(batch):
    model = smooth_model("R3")
    gradient = first_order(model, batch)
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradient))
    step, size = [g / norm for g in gradient], 1e-2
    losses = []
    for sign in (1.0, -1.0):
        for variable, change in zip(encoder(model), step, strict=True):
            variable.assign_add(sign * size * change)
        losses.append(float(ranking_loss(model, batch)))
        for variable, change in zip(encoder(model), step, strict=True):
            variable.assign_sub(sign * size * change)
    assert (losses[0] - losses[1]) / (2 * size) == pytest.approx(norm, rel=0.02)


@pytest.mark.parametrize("name", [*END_TO_END, "R5-gate"])
def test_t1_end_to_end_the_encoder_bends_the_rankers_gradient(name, batch):
    model = smooth_model(name)
    directions = directions_of(model)
    by_autodiff = mixed(model, batch, directions)
    for part in by_autodiff:
        assert np.abs(part).max() > 1e-6
    norm = np.sqrt(sum(float((part**2).sum()) for part in by_autodiff))
    step = [part / norm for part in by_autodiff]
    assert difference(model, batch, directions, step, size=3e-3) == pytest.approx(norm, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "coupled"), [*((n, True) for n in END_TO_END), *((n, False) for n in CASCADES)]
)
def test_t1_a_step_of_the_encoder_down_the_ranking_loss(name, coupled, batch):
    """The mixed derivative along what the ranking loss teaches the encoder: in a cascade nothing, in both orders."""
    model = smooth_model(name)
    directions = directions_of(model)
    step = first_order(model, batch)
    along = sum(float((m * d).sum()) for m, d in zip(mixed(model, batch, directions), step, strict=True))
    differences = difference(model, batch, directions, step, size=1e-2)
    if coupled:
        assert abs(along) > 1e-7
        assert differences == pytest.approx(along, rel=5e-3)
    else:
        assert all((part == 0).all() for part in mixed(model, batch, directions))
        assert along == differences == 0.0


def propagation(random, nodes, edges):
    """(source, target, Q): a random graph and its row-normalised propagation as a matrix, X kept where a row is empty."""
    source, target = random.integers(0, nodes, (2, edges))
    matrix = np.zeros((nodes, nodes))
    np.add.at(matrix, (target, source), 1.0)
    sums = matrix.sum(axis=1, keepdims=True)
    matrix = np.where(sums > 0, matrix / np.maximum(sums, 1), np.eye(nodes))
    return source, target, matrix


def residual_outside(basis, values):
    """Norm of the part of `values` outside the column space of `basis`, relative to that of `values`."""
    fitted = basis @ np.linalg.lstsq(basis, values, rcond=1e-9)[0]
    return np.linalg.norm(values - fitted) / np.linalg.norm(values)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), nodes=st.integers(4, 12), dim=st.integers(1, 3), invariant=st.booleans()
)
def test_t2_x_can_be_rebuilt_from_z_only_if_its_columns_lie_in_those_of_z(seed, nodes, dim, invariant):
    """min_B ||X - Z B|| = 0 iff col(X) is inside col(Z), by the ranks; `invariant` makes X from eigenvectors, where it holds."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(nodes, dim))
    source, target, matrix = propagation(random, nodes, 3 * nodes)
    if invariant:
        symmetric = matrix + matrix.T
        x = np.linalg.eigh(symmetric)[1][:, :dim] @ random.normal(size=(dim, dim))
        z = 0.5 * x + 0.5 * (symmetric + 3 * np.eye(nodes)) @ x
    else:
        z = propagate_lightgcn(*map(tf.constant, (x, x, source, target)), tf.ones(len(source))).numpy()
        np.testing.assert_allclose(z, 0.5 * x + 0.5 * matrix @ x, atol=1e-6)
    rebuilds = residual_outside(z, x) < 1e-6
    ranks = [np.linalg.matrix_rank(m, tol=1e-6) for m in (z, np.hstack([z, x]))]
    assert rebuilds == (ranks[0] == ranks[1])
    assert rebuilds or not invariant


def trained_encoder(x, graph, target, ranking):
    """b of Z = (1 - b) X + b Q X after gradient descent on the GFAE loss, with or without the ranking loss of [X, Z] w."""
    source, edge_target, _ = graph
    features = tf.constant(x, tf.float32)
    openness = tf.Variable(0.5)
    head = tf.Variable(tf.zeros([2 * x.shape[1], 1]))
    optimizer = tf.keras.optimizers.Adam(0.05, jit_compile=False)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            message = propagate_lightgcn(
                features, features, source, edge_target, tf.ones(len(source)), (0.0, 1.0)
            )
            z = (1 - openness) * features + openness * message
            loss = 0.01 * gfae_loss(features, z, tf.fill([len(x)], True))
            if ranking:
                scores = tf.matmul(tf.concat([features, z], axis=1), head)
                loss += tf.reduce_mean(tf.square(scores - target))
        variables = [openness, head] if ranking else [openness]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(600):
        step()
    return float(openness)


def test_t2_under_ssl_alone_a_target_outside_col_x_is_out_of_reach_and_joint_training_reaches_it():
    random = np.random.default_rng(0)
    nodes, dim = 40, 3
    x = random.normal(size=(nodes, dim))
    graph = propagation(random, nodes, 150)
    v, u = random.normal(size=(2, dim, 1))
    y = x @ v + graph[2] @ x @ u
    outside = residual_outside(x, y)
    assert outside > 0.2  # a part of the target that no ranker on X can fit
    alone = trained_encoder(x, graph, tf.constant(y, tf.float32), ranking=False)
    joint = trained_encoder(x, graph, tf.constant(y, tf.float32), ranking=True)
    assert abs(alone) < 1e-3
    assert joint > 0.02
    residuals = []
    for openness in (alone, joint):
        z = (1 - openness) * x + openness * graph[2] @ x
        z = np.round(z / np.abs(z).max(), 4)  # what is not there to four digits is not there
        residuals.append(residual_outside(np.hstack([x, z]), y))
    assert residuals[0] == pytest.approx(outside, rel=0.2)
    assert residuals[1] < 0.1 * outside
