import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.layers import propagate_lightgcn
from tf_e2egrec.losses import gfae_loss

RNG = np.random.default_rng(0)


def ring(nodes=30):
    target = np.repeat(np.arange(nodes), 2)
    source = np.stack([(np.arange(nodes) + 1) % nodes, (np.arange(nodes) - 1) % nodes], 1).ravel()
    return source, target, np.ones(len(source), "f4")


def propagated(x):
    source, target, weight = ring(x.shape[0])
    return propagate_lightgcn(x, x, source, target, weight)


def descend(variable, loss_of, rate, steps):
    """Plain gradient descent of one variable; the last loss. A variable without a gradient stays."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(variable)
        gradient = tape.gradient(loss, variable)
        if gradient is not None:
            variable.assign_sub(rate * gradient)
        return loss

    for _ in range(steps):
        loss = step()
    return float(loss)


def effective_rank(x):
    values = np.linalg.svd(x, compute_uv=False)
    share = values / values.sum()
    return np.exp(-(share * np.log(share + 1e-12)).sum())


def test_literal_is_the_frobenius_norm_over_the_mask():
    x, z = RNG.normal(size=(2, 7, 3)).astype("f4")
    mask = RNG.random(7) < 0.5
    assert float(gfae_loss(x, z, mask, "literal")) == pytest.approx(((x - z)[mask] ** 2).sum(), rel=1e-5)
    assert float(gfae_loss(x, z, mask, "relative")) == pytest.approx(
        ((x - z)[mask] ** 2).sum() / (x[mask] ** 2).sum(), rel=1e-4
    )


def test_relative_has_no_unit():
    x, z = RNG.normal(size=(2, 7, 3)).astype("f4")
    mask = np.ones(7, bool)
    assert float(gfae_loss(100 * x, 100 * z, mask)) == pytest.approx(float(gfae_loss(x, z, mask)), rel=1e-4)


def test_no_neighbours_no_loss():
    x = tf.ones((3, 2))
    assert float(gfae_loss(x, x + 1, tf.zeros(3, tf.bool))) == 0.0


def test_gradients_reach_both_sides():
    x, z = (
        tf.Variable(RNG.normal(size=(5, 3)).astype("f4")),
        tf.Variable(RNG.normal(size=(5, 3)).astype("f4")),
    )
    with tf.GradientTape() as tape:
        loss = gfae_loss(x, z, tf.ones(5, tf.bool))
    for gradient in tape.gradient(loss, [x, z]):
        assert float(tf.norm(gradient)) > 0


def test_trap_alone_it_collapses_trainable_features():
    """Why GFAE must not be the only loss on trainable X: its rank goes to 1."""
    x = tf.Variable(RNG.normal(size=(10, 8)).astype("f4"))
    assert effective_rank(x.numpy()) > 4
    descend(x, lambda x: gfae_loss(x, propagated(x), tf.ones(10, tf.bool), "literal"), 0.9, 700)
    assert effective_rank(x.numpy()) < 1.2


def test_trap_a_stopped_target_diverges():
    """Why both sides get gradients: pulling only Z towards a frozen copy of X makes the norms grow."""
    x = tf.Variable(RNG.normal(size=(30, 8)).astype("f4"))
    start = float(tf.norm(x))
    everywhere = tf.ones(30, tf.bool)
    descend(x, lambda x: gfae_loss(tf.stop_gradient(x), propagated(x), everywhere, "literal"), 0.5, 300)
    assert float(tf.norm(x)) > 100 * start


def unnormalised(x):
    """X + AX: what the layer refuses to be, a_0 + a_1 = 2."""
    source, target, weight = ring(x.shape[0])
    return propagate_lightgcn(x, x, source, target, weight, (1.0, 1.0))


def test_trap_without_the_weights_summing_to_one_the_loss_is_that_of_the_messages_alone():
    """||X - (X + AX)||^2 = ||AX||^2: it no longer compares anything, and shrinks X to zero."""
    x = RNG.normal(size=(30, 4)).astype("f4")
    adjacency = np.zeros((30, 30))
    source, target, _ = ring()
    adjacency[target, source] = 0.5
    everywhere = tf.ones(30, tf.bool)
    loss = float(gfae_loss(x, unnormalised(tf.constant(x)), everywhere, "literal"))
    assert loss == pytest.approx((np.square(adjacency @ x)).sum(), rel=1e-5)
    norms = {}
    for name, propagate in (("a_0 + a_1 = 1", propagated), ("a_0 + a_1 = 2", unnormalised)):
        variable = tf.Variable(np.ones((30, 4), "f4"))  # constant states: what a_0 + a_1 = 1 leaves alone
        descend(variable, lambda x, f=propagate: gfae_loss(x, f(x), everywhere, "literal"), 0.1, 100)
        norms[name] = float(tf.norm(variable))
    assert norms["a_0 + a_1 = 1"] == pytest.approx(np.sqrt(120), rel=1e-4)
    assert norms["a_0 + a_1 = 2"] < 1e-3


def test_relative_is_the_share_of_x_that_its_neighbours_do_not_explain():
    """With a_0 = a_1 = 1/2: a quarter of ||X - AX||^2 / ||X||^2, from 0 (constant) to 1 (alternating signs)."""
    everywhere = tf.ones(30, tf.bool)
    for signal, expected in (
        (np.ones((30, 2)), 0.0),
        (np.resize([1.0, -1.0], (30, 1)), 1.0),
    ):
        x = tf.constant(signal, tf.float32)
        assert float(gfae_loss(x, propagated(x), everywhere)) == pytest.approx(expected, abs=1e-5)


def raw_z(raw, kernel):
    """Z of the stopped X_raw through W_in."""
    return propagated(tf.matmul(tf.stop_gradient(raw), kernel))


def test_raw_sg_leaves_the_raw_features_alone():
    raw, kernel = tf.Variable(RNG.normal(size=(30, 4)).astype("f4")), tf.Variable(tf.eye(4))
    with tf.GradientTape() as tape:
        loss = gfae_loss(raw, raw_z(raw, kernel), tf.ones(30, tf.bool), "raw_sg")
    gradients = tape.gradient(loss, [raw, kernel])
    assert gradients[0] is None
    assert float(tf.norm(gradients[1])) > 0


def test_raw_sg_learns_the_least_squares_encoder_and_keeps_the_rank():
    """It cannot collapse: the target is a constant, and W_in = 0 scores 1."""
    raw = tf.Variable(RNG.normal(size=(30, 6)).astype("f4"))
    everywhere = tf.ones(30, tf.bool)
    kernel = tf.Variable(0.1 * RNG.normal(size=(6, 6)).astype("f4"))
    zero = gfae_loss(raw, raw_z(raw, tf.zeros((6, 6))), everywhere, "raw_sg")
    assert float(zero) == pytest.approx(1.0, rel=1e-4)
    loss = descend(kernel, lambda k: gfae_loss(raw, raw_z(raw, k), everywhere, "raw_sg"), 4.0, 800)
    mixed = propagated(tf.constant(raw.numpy())).numpy().astype("f8")
    best = np.linalg.lstsq(mixed, raw.numpy().astype("f8"), rcond=None)[0]
    np.testing.assert_allclose(kernel.numpy(), best, atol=2e-2)
    assert effective_rank(raw_z(raw, kernel).numpy()) > 5
    residual = np.square(raw.numpy() - mixed @ best).sum() / np.square(raw.numpy()).sum()
    assert loss == pytest.approx(residual, rel=1e-3)


def test_raw_sg_needs_both_sides_stopped():
    """With a live input its loss would be the trap of the stopped target: the raw features grow."""
    sizes, everywhere = {}, tf.ones(30, tf.bool)
    for name, keep in (("stopped", tf.stop_gradient), ("live", tf.identity)):
        raw = tf.Variable(np.random.default_rng(1).normal(size=(30, 4)).astype("f4"))
        start = float(tf.norm(raw))
        descend(raw, lambda x, f=keep: gfae_loss(x, propagated(f(x)), everywhere, "raw_sg"), 15.0, 300)
        sizes[name] = float(tf.norm(raw)) / start
    assert sizes["stopped"] == 1.0
    assert sizes["live"] > 3


@pytest.mark.parametrize("variant", ["relative", "literal", "raw_sg"])
def test_gradients_equal_finite_differences(variant):
    x, z = (RNG.normal(size=(6, 3)) for _ in range(2))
    mask = np.array([True, True, False, True, True, False])
    variable = tf.Variable(z.astype("f4"))
    with tf.GradientTape() as tape:
        loss = gfae_loss(tf.constant(x, tf.float32), variable, mask, variant)
    scale = 1.0 if variant == "literal" else np.square(x[mask]).sum()
    expected = np.where(mask[:, None], 2 * (z - x) / scale, 0.0)
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, rtol=1e-4, atol=1e-6)


def test_unknown_variant_and_widths():
    with pytest.raises(ValueError, match="variant"):
        gfae_loss(tf.ones((1, 1)), tf.ones((1, 1)), tf.ones(1, tf.bool), "other")
    with pytest.raises(ValueError, match="one width"):
        gfae_loss(tf.ones((1, 2)), tf.ones((1, 1)), tf.ones(1, tf.bool), "raw_sg")
