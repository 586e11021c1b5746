"""The checks that every layer passes."""

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def check_layer(layer, call, inputs, output_shape, trainable=True, tolerance=3e-2):
    """Serialisation, shape, dtype policies, one training step, and a functional Keras model around it.

    Args:
      layer: a fresh layer.
      call: function of (layer, inputs) that returns the layer's output as a tensor.
      inputs: a tensor, a GraphTensor, or a list or dictionary of them.
      output_shape: expected static shape.
      trainable: whether a gradient must reach every trainable weight.
      tolerance: how far a 16-bit output may be from the float32 one, relative to its largest number.
    """
    output = call(layer, inputs)
    assert tuple(output.shape) == tuple(output_shape)
    assert np.isfinite(output.numpy().astype(np.float64)).all()
    check_serialisation(layer, call, inputs, output)
    check_policies(layer, call, inputs, output, tolerance)
    check_functional_model(layer, call, inputs, output)
    if trainable:
        check_train_step(layer, call, inputs)


def check_serialisation(layer, call, inputs, output):
    config = layer.get_config()
    again = copy_of(layer)
    assert again.get_config() == config
    call(again, inputs)  # builds it
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(call(again, inputs).numpy(), output.numpy())


def copy_of(layer, **changes):
    """Through Keras' own registry, as loading a model does."""
    serialized = tf.keras.utils.serialize_keras_object(layer)
    serialized["config"] = {**serialized["config"], **changes}
    return tf.keras.utils.deserialize_keras_object(serialized)


def check_policies(layer, call, inputs, output, tolerance):
    """As the layer's own policy, and as the global one, under which inner layers are made, too."""
    for policy in POLICIES:
        before = tf.keras.mixed_precision.global_policy()
        for scope in ("own", "global"):
            try:
                tf.keras.mixed_precision.set_global_policy(policy if scope == "global" else before)
                half = type(layer).from_config(layer.get_config() | {"dtype": policy})
                call(half, inputs)
                half.set_weights(layer.get_weights())
                result = call(half, inputs)
            finally:
                tf.keras.mixed_precision.set_global_policy(before)
            computed = tf.as_dtype(half.compute_dtype)
            expected_types = (output.dtype,) if output.dtype.is_integer else (computed, tf.float32)
            assert result.dtype in expected_types, (policy, scope, result.dtype)
            assert all(weight.dtype in (tf.float32, tf.int64) for weight in half.weights)
            expected = output.numpy().astype(np.float64)
            np.testing.assert_allclose(
                result.numpy().astype(np.float64),
                expected,
                atol=(1e-6 if policy == "float32" else tolerance) * max(1.0, np.abs(expected).max()),
                err_msg=f"{policy}, {scope}",
            )


def check_train_step(layer, call, inputs):
    def loss_of():
        return tf.reduce_sum(tf.square(tf.cast(call(layer, inputs), tf.float32) - 1.5))

    with tf.GradientTape() as tape:
        loss = loss_of()
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert layer.trainable_weights
    assert all(gradient is not None for gradient in gradients)
    tf.keras.optimizers.legacy.SGD(1e-4).apply_gradients(zip(gradients, layer.trainable_weights, strict=True))
    assert float(loss_of()) < float(loss)


def check_functional_model(layer, call, inputs, output):
    """A functional model of the layer computes the same, and survives `get_config` and `from_config`."""
    symbols = [tf.keras.Input(type_spec=spec_of(value)) for value in tf.nest.flatten(inputs)]
    model = tf.keras.Model(symbols, call(layer, tf.nest.pack_sequence_as(inputs, symbols)))
    values = tf.nest.flatten(inputs)
    np.testing.assert_allclose(model(values).numpy(), output.numpy(), rtol=1e-5, atol=1e-6)
    if not any(isinstance(value, tfgnn.GraphTensor) for value in values):  # TF-GNN's inputs have no config
        again = tf.keras.Model.from_config(model.get_config())
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(again(values).numpy(), output.numpy(), rtol=1e-5, atol=1e-6)


def spec_of(value):
    if isinstance(value, tfgnn.GraphTensor):
        return value.spec
    return tf.TensorSpec([None, *value.shape[1:]], value.dtype)
