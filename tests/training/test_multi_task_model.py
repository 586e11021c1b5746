import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_tasks import Chained, ToyEmbedding, ToyTasks, compiled, toy_data
from tf_e2egrec.training import GradNorm, RowSparseAdam


def regression(rows=32):
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype("f4")
    return tf.data.Dataset.from_tensor_slices((x, x @ np.array([1, -2, 0.5], "f4"))).batch(rows)


def separate_gradient_norms(model, inputs, labels):
    with tf.GradientTape(persistent=True) as tape:
        losses = model.task_losses(inputs, labels, training=True)
    gradients = [tape.gradient(losses[task], model.shared_kernel) for task in model.balancer.tasks]
    return [float(tf.norm(tf.cast(tf.convert_to_tensor(g), tf.float32))) for g in gradients]


@pytest.mark.parametrize(
    ("make", "data", "weights"),
    [
        (lambda: ToyTasks((1.0, 100.0)), lambda: toy_data(1), {"task_0": 1.7, "task_1": 0.3}),
        (lambda: ToyTasks((1.0, 100.0), kernel_regularizer="l2"), lambda: toy_data(1), {"task_1": 0.01}),
        (Chained, regression, {"square": 2.5, "absolute": 0.4, "sign": 0.1}),
    ],
    ids=["paper's toy", "with a regularised shared kernel", "three tasks"],
)
def test_gradient_norms_by_subtraction_equal_separate_passes(make, data, weights):
    tf.keras.utils.set_random_seed(0)
    model = compiled(make(), task_weights=weights)
    expected = separate_gradient_norms(model, *next(iter(data())))
    model.fit(data(), verbose=0, callbacks=[GradNorm(warmup_steps=10)])
    np.testing.assert_allclose(model.balancer.statistics.numpy()[0], expected, rtol=1e-3)


def test_a_task_without_a_path_to_the_kernel_has_norm_zero():
    class Detached(Chained):
        def task_losses(self, inputs, labels, training):
            losses = super().task_losses(inputs, labels, training)
            return losses | {"absolute": tf.reduce_mean(tf.square(self.heads[1].bias - 1.0))}

    model = compiled(Detached())
    expected = separate_gradient_norms(compiled(Chained()), *next(iter(regression())))
    model.fit(regression(), verbose=0, callbacks=[GradNorm(warmup_steps=10)])
    norms = model.balancer.statistics.numpy()[0]
    assert norms[1] == 0 and norms[0] > 0 and norms[2] > 0 and len(expected) == 3


def test_three_tasks_balance_and_learn():
    tf.keras.utils.set_random_seed(0)
    model = Chained()
    model.compile(tf.keras.optimizers.Adam(1e-2, jit_compile=False))
    history = model.fit(regression(), epochs=60, verbose=0, callbacks=[GradNorm(warmup_steps=5)]).history
    weights = model.balancer.task_weights.numpy()
    assert weights.sum() == pytest.approx(3, abs=1e-4)
    assert weights.std() > 0.05
    for task in model.balancer.tasks:
        assert history[f"{task}_loss"][-1] < history[f"{task}_loss"][0]


def test_the_step_uses_the_weights_from_before_the_update():
    def after_one_step(callbacks):
        tf.keras.utils.set_random_seed(0)
        model = compiled(ToyTasks((1.0, 100.0)))
        model.fit(toy_data(1), verbose=0, callbacks=callbacks)
        return model

    with_update = after_one_step([GradNorm(warmup_steps=1, learning_rate=0.5)])
    np.testing.assert_allclose(with_update.shared_kernel, after_one_step([]).shared_kernel, rtol=1e-6)


def test_without_the_callback_the_weights_stay():
    model = compiled(ToyTasks((1.0, 100.0)), task_weights={"task_0": 0.5})
    model.fit(toy_data(3), verbose=0)
    np.testing.assert_array_equal(model.balancer.task_weights, [0.5, 1.0])


def test_the_balancers_state_is_never_trainable():
    model = compiled(ToyTasks((1.0, 100.0)))
    model.trainable = True
    for layer in model._flatten_layers():
        layer.trainable = True
    trainable = {id(variable) for variable in model.trainable_variables}
    assert not trainable & {id(variable) for variable in model.balancer.weights}
    assert not model.balancer.trainable_weights
    model.fit(toy_data(2), verbose=0, callbacks=[GradNorm(warmup_steps=1)])
    assert len(model.optimizer.variables) == 1 + 2 * len(trainable)  # iterations; two moments each


@pytest.mark.parametrize("sparse", [False, True])
def test_the_loss_scale_reaches_neither_norms_nor_losses(sparse):
    """The same numbers whatever the scale; float32 computation, so that nothing else differs."""
    seen = []
    for scale in (None, 2.0**4, 2.0**14):
        tf.keras.utils.set_random_seed(0)
        model = ToyEmbedding() if sparse else ToyTasks((1.0, 100.0))
        optimizer = tf.keras.optimizers.Adam(1e-3, jit_compile=False)
        if scale is not None:
            optimizer = tf.keras.mixed_precision.LossScaleOptimizer(
                optimizer, dynamic=False, initial_scale=scale
            )
        model.compile(optimizer, embedding_optimizer=RowSparseAdam(1e-3) if sparse else None)
        data = toy_data(5)
        if sparse:
            data = data.map(lambda x, y: (tf.cast(tf.abs(x[:, 0]) * 10, tf.int64), y + x[:, 1]))
        model.fit(data, verbose=0, callbacks=[GradNorm(warmup_steps=2)])
        seen.append([*model.balancer.get_weights(), *(v.numpy() for v in model.trainable_variables)])
    for other in seen[1:]:
        for ours, theirs in zip(other, seen[0], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_the_norms_of_float32(policy):
    def norms(dtype):
        tf.keras.utils.set_random_seed(0)
        tf.keras.mixed_precision.set_global_policy(dtype)
        try:
            model = compiled(ToyTasks((1.0, 1.0), dtype=dtype))
            model.fit(toy_data(1), verbose=0, callbacks=[GradNorm(warmup_steps=2)])
            return model.balancer.statistics.numpy()[0]
        finally:
            tf.keras.mixed_precision.set_global_policy("float32")

    np.testing.assert_allclose(norms(policy), norms("float32"), rtol=0.05)


def test_a_step_that_overflows_is_left_out_by_both_optimisers():
    model = ToyEmbedding()
    scale = tf.keras.mixed_precision.LossScaleOptimizer
    model.compile(scale(tf.keras.optimizers.Adam(1e-2)), embedding_optimizer=RowSparseAdam(1e-2))
    assert isinstance(model.embedding_optimizer, scale)
    before = [variable.numpy() for variable in model.trainable_variables]
    task_weights = model.balancer.task_weights.numpy()
    data = tf.data.Dataset.from_tensors((np.arange(4), np.array([1, 1, 1, 1e36], "f4")))
    model.fit(data, verbose=0, callbacks=[GradNorm(warmup_steps=0)])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    np.testing.assert_array_equal(model.balancer.task_weights, task_weights)
    assert float(model.optimizer.loss_scale) == float(model.embedding_optimizer.loss_scale) == 2.0**14
    model.fit(
        tf.data.Dataset.from_tensors((np.arange(4), np.ones(4, "f4"))),
        verbose=0,
        callbacks=[GradNorm(warmup_steps=0)],
    )
    assert (model.table.embeddings.numpy()[:4] != before[0][:4]).any()


def test_sample_weights_and_a_frozen_kernel_are_refused():
    model = compiled(ToyTasks((1.0, 2.0)))
    x = np.ones((4, 25), "f4")
    with pytest.raises(ValueError, match="put weights of rows into `labels`"):
        model.fit(x, np.ones(4), sample_weight=np.ones(4), verbose=0)
    model.shared.trainable = False
    compiled(model)
    with pytest.raises(ValueError, match="`shared_kernel` should be a trainable variable"):
        model.fit(x, np.ones(4), verbose=0, callbacks=[GradNorm()])
    with pytest.raises(ValueError, match="task_weights"):
        compiled(ToyTasks((1.0, 2.0)), task_weights={"nothing": 1.0})
