"""The checks that every layer passes."""

import numpy as np
import tensorflow as tf


def check_layer(layer, call, output_shape, trainable=True, half_precision=True):
    """Serialisation, shape, dtype policy, and one training step.

    Args:
      layer: a fresh layer.
      call: function of the layer that returns its output (a tensor) on fixed inputs.
      output_shape: expected static shape.
      trainable: whether a gradient must reach every trainable weight.
      half_precision: whether the layer follows the `mixed_bfloat16` policy.
    """
    output = call(layer)
    assert tuple(output.shape) == tuple(output_shape)
    assert np.isfinite(output.numpy().astype(np.float64)).all()

    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    call(again)  # builds it
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(call(again).numpy(), output.numpy())

    if trainable:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.cast(call(layer), tf.float32) - 1.5))
        gradients = tape.gradient(loss, layer.trainable_weights)
        assert layer.trainable_weights
        assert all(gradient is not None for gradient in gradients)
        before = float(loss)
        tf.keras.optimizers.legacy.SGD(1e-4).apply_gradients(
            zip(gradients, layer.trainable_weights, strict=True)
        )
        after = float(tf.reduce_sum(tf.square(tf.cast(call(layer), tf.float32) - 1.5)))
        assert after < before

    if half_precision:
        half = type(layer).from_config(config | {"dtype": "mixed_bfloat16"})
        result = call(half)
        assert result.dtype in (tf.bfloat16, tf.float32)
        assert all(weight.dtype in (tf.float32, tf.int64) for weight in half.weights)
