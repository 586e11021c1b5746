import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_tasks import compiled
from tf_e2egrec.training import GradNorm, MultiOutputModel

LOSSES = {
    "small": "mse",
    "large": tf.keras.losses.Huber(),
    "sign": tf.keras.losses.BinaryCrossentropy(from_logits=True),
}


def functional():
    inputs = tf.keras.Input((3,))
    hidden = tf.keras.layers.Dense(8, activation="tanh", name="shared")(inputs)
    return tf.keras.Model(inputs, {name: tf.keras.layers.Dense(1, name=name)(hidden) for name in LOSSES})


def data():
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("f4")
    y = x.sum(1, keepdims=True)
    return x, {"small": y, "large": 100 * y, "sign": (y > 0).astype("f4")}


def make():
    tf.keras.utils.set_random_seed(0)
    return compiled(MultiOutputModel(functional(), LOSSES, "shared"))


def test_a_functional_model_is_balanced_and_learns():
    model = make()
    x, y = data()
    history = model.fit(x, y, epochs=40, verbose=0, callbacks=[GradNorm(warmup_steps=2)]).history
    assert model.balancer.tasks == ("small", "large", "sign")
    assert model.balancer.task_weights.numpy().sum() == pytest.approx(3, abs=1e-4)
    assert history["task_weight/small"][-1] != pytest.approx(1.0, abs=0.05)
    for name in LOSSES:
        assert history[f"{name}_loss"][-1] < history[f"{name}_loss"][0]


def test_losses_and_norms_are_those_of_keras():
    model = make()
    x, y = data()
    with tf.GradientTape(persistent=True) as tape:
        outputs = model.network(x)
        expected = {name: tf.keras.losses.get(loss)(y[name], outputs[name]) for name, loss in LOSSES.items()}
        expected = {name: tf.reduce_mean(value) for name, value in expected.items()}
    norms = [float(tf.norm(tape.gradient(loss, model.shared_kernel))) for loss in expected.values()]
    losses = model.task_losses(x, y, training=False)
    for name, loss in expected.items():
        assert float(losses[name]) == pytest.approx(float(loss), rel=1e-5)
    model.fit(x, y, verbose=0, callbacks=[GradNorm(warmup_steps=5)])
    np.testing.assert_allclose(model.balancer.statistics.numpy()[0], norms, rtol=1e-3)


def test_saved_and_loaded_it_is_the_same_and_trains_on(tmp_path):
    model = make()
    x, y = data()
    model.fit(x, y, epochs=3, verbose=0, callbacks=[GradNorm(warmup_steps=1)])
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    for name in LOSSES:
        np.testing.assert_array_equal(again(x)[name], model(x)[name])
    for ours, theirs in zip(again.balancer.weights, model.balancer.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(again.optimizer.variables) == len(model.optimizer.variables)
    for one in (model, again):
        one.fit(x, y, verbose=0, callbacks=[GradNorm(warmup_steps=1)])
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_layer_without_a_kernel_is_refused():
    inputs = tf.keras.Input((3,))
    network = tf.keras.Model(inputs, {"a": tf.keras.layers.ReLU(name="shared")(inputs)})
    with pytest.raises(ValueError, match="a layer with a kernel"):
        MultiOutputModel(network, {"a": "mse"}, "shared")
