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
    for _ in range(700):
        with tf.GradientTape() as tape:
            loss = gfae_loss(x, propagated(x), tf.ones(10, tf.bool), "literal")
        x.assign_sub(0.9 * tape.gradient(loss, x))
    assert effective_rank(x.numpy()) < 1.2


def test_trap_a_stopped_target_diverges():
    """Why both sides get gradients: pulling only Z towards a frozen copy of X makes the norms grow."""
    x = tf.Variable(RNG.normal(size=(30, 8)).astype("f4"))
    start = float(tf.norm(x))
    for _ in range(300):
        with tf.GradientTape() as tape:
            loss = gfae_loss(tf.stop_gradient(x), propagated(x), tf.ones(30, tf.bool), "literal")
        x.assign_sub(0.5 * tape.gradient(loss, x))
    assert float(tf.norm(x)) > 100 * start


def test_unknown_variant():
    with pytest.raises(ValueError, match="variant"):
        gfae_loss(tf.ones((1, 1)), tf.ones((1, 1)), tf.ones(1, tf.bool), "other")
