import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from tf_e2egrec.losses import huber_log1p_loss, log1p_to_seconds, reward_loss

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
