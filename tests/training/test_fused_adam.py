import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.training import FusedAdam


def trajectories(optimizers, gradients, start=((1.0, 2.0), (3.0, -4.0))):
    variables = [tf.Variable(start) for _ in optimizers]
    for gradient in gradients:
        for optimizer, variable in zip(optimizers, variables, strict=True):
            optimizer.apply_gradients([(gradient, variable)])
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("arguments", [{}, {"amsgrad": True}, {"weight_decay": 0.1}, {"clipnorm": 0.5}])
def test_the_numbers_are_those_of_adam(arguments):
    generator = np.random.default_rng(0)
    gradients = [tf.constant(generator.normal(size=(2, 2)), tf.float32) for _ in range(20)]
    adam = tf.keras.optimizers.Adam(0.1, jit_compile=False, **arguments)
    ours, reference = trajectories([FusedAdam(0.1, jit_compile=False, **arguments), adam], gradients)
    np.testing.assert_allclose(ours, reference, rtol=1e-5)


def test_sparse_gradients_are_those_of_adam():
    gradients = [tf.IndexedSlices([[1.0, -1.0]], [1], [2, 2])] * 3
    adam = tf.keras.optimizers.Adam(0.1, jit_compile=False)
    ours, reference = trajectories([FusedAdam(0.1, jit_compile=False), adam], gradients)
    np.testing.assert_allclose(ours, reference, rtol=1e-5)


def test_a_schedule_is_followed():
    schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.0])
    gradients = [tf.ones([2, 2])] * 4
    after_two, after_four = (
        trajectories([FusedAdam(schedule, jit_compile=False)], gradients[:count])[0] for count in (2, 4)
    )
    np.testing.assert_array_equal(after_two, after_four)
    assert (after_two != [[1.0, 2.0], [3.0, -4.0]]).all()


def test_one_operation_updates_a_variable():
    variable, optimizer = tf.Variable(tf.ones([3, 3])), FusedAdam(0.1, jit_compile=False)
    optimizer.build([variable])
    step = tf.function(lambda: optimizer.apply_gradients([(tf.ones([3, 3]), variable)]))
    types = [one.type for one in step.get_concrete_function().graph.get_operations()]
    assert types.count("ResourceApplyAdam") == 1
    assert "AssignSubVariableOp" not in types


def test_replicas_agree_with_one_device():
    cpus = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([one.name for one in cpus])
    with strategy.scope():
        variable, optimizer = tf.Variable([1.0, 2.0]), FusedAdam(0.1, jit_compile=False)
    strategy.run(lambda: optimizer.apply_gradients([(tf.constant([1.0, -1.0]), variable)]))
    np.testing.assert_allclose(variable.numpy(), [0.9, 2.1], atol=1e-6)


def test_config():
    optimizer = FusedAdam(0.2, beta_1=0.8)
    again = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(optimizer))
    assert isinstance(again, FusedAdam)
    assert again.beta_1 == 0.8 and float(again.learning_rate) == pytest.approx(0.2)
