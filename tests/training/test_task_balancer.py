import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.training import TaskBalancer, grad_norm_gradient

POSITIVE = st.floats(0.01, 100)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(POSITIVE, POSITIVE, POSITIVE), min_size=2, max_size=4), st.floats(0, 2))
def test_closed_form_equals_autodiff(tasks, gamma):
    w, g, loss_ratio = (np.array(column, "f4") for column in zip(*tasks, strict=True))
    rate = loss_ratio / loss_ratio.mean()
    weights = tf.Variable(w)
    with tf.GradientTape() as tape:
        scaled = weights * g
        target = tf.stop_gradient(tf.reduce_mean(scaled) * rate**gamma)
        loss = tf.reduce_sum(tf.abs(scaled - target))
    expected = tape.gradient(loss, weights)
    near = np.abs(w * g - (w * g).mean() * rate**gamma) < 1e-4 * (w * g)  # at the kink the sign is anybody's
    actual = grad_norm_gradient(weights, g, rate, gamma).numpy()
    np.testing.assert_allclose(actual[~near], expected.numpy()[~near], rtol=1e-5)


def make(warmup=0, rate=0.025, gamma=1.0, tasks=("a", "b")):
    balancer = TaskBalancer(tasks)
    balancer.gamma.assign(gamma)
    balancer.learning_rate.assign(rate)
    balancer.warmup_steps.assign(warmup)
    return balancer


def test_initial_losses_are_the_mean_of_the_warm_up_and_weights_stand_still():
    balancer = make(warmup=3)
    for losses in ([1.0, 10.0], [2.0, 20.0], [3.0, 60.0]):
        balancer.update(tf.constant(losses), tf.constant([1.0, 5.0]))
        np.testing.assert_array_equal(balancer.task_weights, [1, 1])
    np.testing.assert_allclose(balancer.initial_losses, [2, 30], rtol=1e-6)
    balancer.update(tf.constant([9.0, 9.0]), tf.constant([1.0, 5.0]))
    np.testing.assert_allclose(balancer.initial_losses, [2, 30], rtol=1e-6)
    assert balancer.task_weights.numpy()[0] > 1  # the task with the smaller gradient gains


def test_weights_always_sum_to_the_number_of_tasks():
    balancer = make(rate=0.3, tasks=("a", "b", "c"))
    rng = np.random.default_rng(0)
    for _ in range(50):
        balancer.update(
            tf.constant(rng.random(3).astype("f4")), tf.constant(rng.random(3) * [1, 10, 100], tf.float32)
        )
        weights = balancer.task_weights.numpy()
        assert weights.sum() == pytest.approx(3, abs=1e-5)
        assert weights.min() > 0.009


def test_two_task_fixed_point_equalises_weighted_gradients():
    """With gamma = 0 and constant g the fixed point is w_i proportional to 1 / g_i."""
    balancer = make(rate=0.005, gamma=0.0)
    for _ in range(2000):
        balancer.update(tf.constant([1.0, 1.0]), tf.constant([1.0, 3.0]))
    np.testing.assert_allclose(balancer.task_weights, [1.5, 0.5], atol=0.02)


def test_priors_shift_the_fixed_point():
    balancer = make(rate=0.005, gamma=0.0)
    balancer.priors.assign([0.25, 1.0])
    for _ in range(2000):
        balancer.update(tf.constant([1.0, 1.0]), tf.constant([1.0, 1.0]))
    np.testing.assert_allclose(balancer.task_weights, [0.4, 1.6], atol=0.02)


def test_a_broken_step_changes_no_weight():
    balancer = make()
    balancer.update(tf.constant([1.0, 1.0]), tf.constant([np.nan, 1.0]))
    np.testing.assert_array_equal(balancer.task_weights, [1, 1])
