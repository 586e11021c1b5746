import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.training import GradNorm, MultiTaskModel


class ToyTasks(MultiTaskModel):
    """The paper's toy: task i is sigma_i * tanh((B + e_i) x), all tasks from one shared kernel."""

    def __init__(self, sigmas, inputs=25, outputs=10, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.sigmas = sigmas
        base = rng.normal(scale=np.sqrt(10), size=(inputs, outputs))
        self.targets = [
            tf.constant(base + rng.normal(scale=np.sqrt(3.5), size=base.shape), tf.float32) for _ in sigmas
        ]
        self.shared = tf.keras.layers.Dense(64, activation="relu")
        self.shared.build((None, inputs))
        self.heads = [tf.keras.layers.Dense(outputs) for _ in sigmas]
        for head in self.heads:
            head.build((None, 64))
        self.set_tasks([f"task_{i}" for i in range(len(sigmas))])

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def task_losses(self, inputs, labels, training):
        hidden = self.shared(inputs)
        return {
            f"task_{i}": tf.reduce_mean(tf.square(sigma * tf.tanh(inputs @ target) - head(hidden)))
            for i, (sigma, target, head) in enumerate(zip(self.sigmas, self.targets, self.heads, strict=True))
        }


def toy_data(steps=200, batch=64):
    x = np.random.default_rng(1).normal(size=(steps * batch, 25)).astype("f4")
    return tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x), "f4"))).batch(batch)


def compiled(model, **kwargs):
    model.compile(optimizer=tf.keras.optimizers.Adam(1e-3, jit_compile=False), **kwargs)
    return model


@pytest.mark.parametrize("sigmas", [(1.0, 100.0), (1.0, 10.0, 100.0)])
def test_toy_the_weight_of_the_small_task_rises(sigmas):
    tf.keras.utils.set_random_seed(0)
    model = compiled(ToyTasks(sigmas))
    callback = GradNorm(gamma=0.12, warmup_steps=5)
    model.fit(toy_data(), epochs=1, verbose=0, callbacks=[callback])
    weights = model.balancer.task_weights.numpy()
    assert weights[0] > 1.3 and weights[0] == weights.max() and weights[-1] == weights.min()
    assert weights.sum() == pytest.approx(len(sigmas), abs=1e-4)
    assert set(callback.mean_weights()) == set(model.balancer.tasks)


def test_gradient_norms_by_subtraction_equal_separate_passes():
    tf.keras.utils.set_random_seed(0)
    model = compiled(ToyTasks((1.0, 100.0)), task_weights={"task_0": 1.7, "task_1": 0.3})
    x, _ = next(iter(toy_data(1)))
    with tf.GradientTape(persistent=True) as tape:
        losses = model.task_losses(x, None, training=True)
    expected = [
        float(tf.norm(tape.gradient(losses[task], model.shared_kernel))) for task in model.balancer.tasks
    ]
    model.fit(toy_data(1), verbose=0, callbacks=[GradNorm(warmup_steps=10)])
    np.testing.assert_allclose(model.balancer.statistics.numpy()[0], expected, rtol=1e-3)


def test_the_step_uses_the_weights_from_before_the_update():
    def after_one_step(callbacks):
        tf.keras.utils.set_random_seed(0)
        model = compiled(ToyTasks((1.0, 100.0)))
        model.fit(toy_data(1), verbose=0, callbacks=callbacks)
        return model

    with_update, without = after_one_step([GradNorm(warmup_steps=1, learning_rate=0.5)]), after_one_step([])
    np.testing.assert_allclose(with_update.shared_kernel, without.shared_kernel, rtol=1e-6)


def test_without_the_callback_the_weights_stay():
    model = compiled(ToyTasks((1.0, 100.0)), task_weights={"task_0": 0.5})
    model.fit(toy_data(3), verbose=0)
    np.testing.assert_array_equal(model.balancer.task_weights, [0.5, 1.0])
    assert not model.balancer.trainable_weights


def test_freezing():
    model = compiled(ToyTasks((1.0, 100.0)))
    callback = GradNorm(warmup_steps=1, freeze_after=1)
    history = model.fit(toy_data(5), epochs=3, verbose=0, callbacks=[callback]).history
    assert history["task_weight/task_0"][0] != 1.0
    assert history["task_weight/task_0"][0] == pytest.approx(history["task_weight/task_0"][2], abs=1e-5)


def test_wrong_model_and_wrong_names_are_refused():
    with pytest.raises(ValueError, match="MultiTaskModel"):
        GradNorm().set_model(tf.keras.Sequential())
    with pytest.raises(ValueError, match="priors"):
        GradNorm(priors={"nothing": 1.0}).set_model(ToyTasks((1.0, 2.0)))
    with pytest.raises(ValueError, match="task_weights"):
        compiled(ToyTasks((1.0, 2.0)), task_weights={"nothing": 1.0})
