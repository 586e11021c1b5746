import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from tf_e2egrec.losses import (
    huber_log1p_loss,
    log1p_to_seconds,
    reward_loss,
    wlr_loss,
    wlr_to_seconds,
)

RNG = np.random.default_rng(0)


def test_reward_loss_equals_scikit_learn():
    labels, logits = (RNG.random(50) < 0.3).astype("f4"), RNG.normal(size=50).astype("f4")
    assert float(reward_loss(labels, logits)) == pytest.approx(
        log_loss(labels, 1 / (1 + np.exp(-logits))), rel=1e-5
    )


def test_rows_without_a_stay_label_are_masked():
    stay, output = np.array([3.0, np.nan, 100.0], "f4"), np.array([1.0, 50.0, 4.0], "f4")
    expected = tf.keras.losses.Huber(1.0)(np.log1p([3.0, 100.0]), [1.0, 4.0])
    assert float(huber_log1p_loss(stay, output)) == pytest.approx(float(expected), rel=1e-5)
    assert float(huber_log1p_loss(np.full(2, np.nan, "f4"), output[:2])) == 0.0


def test_masked_rows_give_no_gradient():
    output = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        loss = huber_log1p_loss(tf.constant([np.nan, 5.0]), output)
    gradient = tape.gradient(loss, output).numpy()
    assert gradient[0] == 0 and np.isfinite(gradient).all()


def test_seconds_round_trip_and_are_bounded():
    seconds = np.array([0.0, 1.5, 600.0], "f4")
    np.testing.assert_allclose(log1p_to_seconds(tf.math.log1p(seconds), 600.0), seconds, rtol=1e-5)
    np.testing.assert_allclose(log1p_to_seconds(tf.constant([-1.0, 100.0]), 600.0), [0.0, 600.0], rtol=1e-5)


def test_huber_gradient_is_the_clipped_error():
    stay, output = np.float32([3.0, 100.0, np.nan]), tf.Variable([1.0, 1.0, 9.0])
    with tf.GradientTape() as tape:
        loss = huber_log1p_loss(tf.constant(stay), output)
    error = np.clip(np.array([1.0, 1.0]) - np.log1p(stay[:2]), -1, 1) / 2
    np.testing.assert_allclose(tape.gradient(loss, output), [*error, 0.0], rtol=1e-5)


def test_wlr_equals_a_weighted_log_loss():
    """Each row is a positive of weight T and a negative of weight 1."""
    stay, output = (RNG.random(30) * 50).astype("f4"), RNG.normal(size=30).astype("f4")
    probability = np.tile(1 / (1 + np.exp(-output.astype("f8"))), 2)
    total = log_loss(
        np.repeat([1, 0], 30), probability, sample_weight=np.r_[stay, np.ones(30)], normalize=False
    )
    assert float(wlr_loss(tf.constant(stay), tf.constant(output))) == pytest.approx(total / 30, rel=1e-4)


def test_wlr_odds_are_the_mean_watch_time():
    """The minimum over one shared output is at exp(o) = E[T], rows without a label aside; the inverse reads it."""
    stay = np.r_[RNG.exponential(40, 200), [np.nan, np.nan]].astype("f4")
    mean = np.nanmean(stay)
    output = tf.Variable(np.log(mean))
    with tf.GradientTape() as tape:
        loss = wlr_loss(tf.constant(stay), tf.fill([202], output))
    assert abs(float(tape.gradient(loss, output))) < 1e-3
    for step in (-0.2, 0.2):
        assert float(wlr_loss(tf.constant(stay), tf.fill([202], output + step))) > float(loss)
    assert float(wlr_to_seconds(output, 600.0)) == pytest.approx(mean, rel=1e-5)


def test_wlr_gradient_and_mask():
    stay, output = np.float32([5.0, np.nan, 300.0]), np.float32([0.3, 2.0, -1.0])
    variable = tf.Variable(output)
    with tf.GradientTape() as tape:
        loss = wlr_loss(tf.constant(stay), variable)
    share = 1 / (1 + np.exp(-output))
    expected = np.where(np.isfinite(stay), (1 + np.nan_to_num(stay)) * share - np.nan_to_num(stay), 0) / 2
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, rtol=1e-5)
    assert float(wlr_loss(tf.fill([2], np.nan), tf.zeros(2))) == 0.0


def test_wlr_seconds_round_trip_and_are_bounded():
    seconds = np.array([0.5, 30.0, 600.0], "f4")
    np.testing.assert_allclose(wlr_to_seconds(tf.math.log(seconds), 600.0), seconds, rtol=1e-5)
    np.testing.assert_allclose(wlr_to_seconds(tf.constant([-100.0, 100.0]), 600.0), [0.0, 600.0], atol=1e-6)
