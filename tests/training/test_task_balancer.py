import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.training import TaskBalancer, grad_norm_gradient
from tf_e2egrec.training.task_balancer import renormalise

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


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1.0, 1.0], [1.0, 1.0]),
        ([3.0, 1.0], [2 * 1.99 / 2.99, 2 * 1 / 2.99]),  # 3 is over T - 0.01
        ([-5.0, 1.0], [2 * 0.01 / 1.01, 2 * 1 / 1.01]),
        ([0.0, 7.0, 2.0], [3 * 0.01 / 5.0, 3 * 2.99 / 5.0, 3 * 2.0 / 5.0]),
    ],
)
def test_weights_are_clipped_then_scaled_to_the_number_of_tasks(weights, expected):
    np.testing.assert_allclose(renormalise(tf.constant(weights)), expected, rtol=1e-5)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=5))
def test_renormalised_weights_are_positive_and_sum_to_the_number_of_tasks(weights):
    result = renormalise(tf.constant(weights, tf.float32)).numpy()
    assert result.min() > 0
    assert result.sum() == pytest.approx(len(weights), rel=1e-5)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_two_task_fixed_point_follows_the_inverse_training_rates(ratio):
    """At rest w_i g_i is proportional to r_i^gamma: with gamma = 1, w_1 g_1 / (w_2 g_2) = r_1 / r_2."""
    balancer = make(warmup=1, rate=0.004, gamma=1.0)
    balancer.update(tf.constant([1.0, 1.0]), tf.constant([1.0, 2.0]))
    for _ in range(2500):
        balancer.update(tf.constant([ratio, 1.0]), tf.constant([1.0, 2.0]))
    weights = balancer.task_weights.numpy()
    assert weights[0] / (2 * weights[1]) == pytest.approx(ratio, rel=0.05)


def test_a_loss_that_is_not_a_number_spoils_neither_l0_nor_weights():
    balancer = make(warmup=2)
    balancer.update(tf.constant([1.0, 2.0]), tf.constant([1.0, 1.0]))
    balancer.update(tf.constant([np.nan, 2.0]), tf.constant([1.0, 1.0]))
    np.testing.assert_array_equal(balancer.initial_losses, [1, 2])
    balancer.update(tf.constant([np.inf, 2.0]), tf.constant([1.0, 1.0]))
    np.testing.assert_array_equal(balancer.task_weights, [1, 1])


def test_frozen_weights_stand_still_and_the_steps_are_still_counted():
    balancer = make()
    balancer.freeze_at.assign(2)
    seen = []
    for _ in range(4):
        balancer.update(tf.constant([1.0, 1.0]), tf.constant([1.0, 5.0]))
        seen.append(float(balancer.task_weights[0]))
    assert 1 < seen[0] < seen[1] == seen[2] == seen[3]
    assert int(balancer.steps) == 4
    np.testing.assert_allclose(balancer.mean_weights()[0], np.mean(seen), rtol=1e-6)


def test_it_is_never_trainable():
    balancer = make()
    balancer.trainable = True
    assert balancer.trainable_weights == []
