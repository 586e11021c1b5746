"""Stay-duration losses and their inverse transforms to seconds."""

import tensorflow as tf


def huber_log1p_loss(stay_seconds: tf.Tensor, output: tf.Tensor, delta: float = 1.0) -> tf.Tensor:
    """Mean Huber loss on log(1 + seconds) over the rows that have a label.

    Args:
      stay_seconds: float32 [n], NaN where there is no label (those rows are masked, never imputed).
      output: float32 [n], the tower's output, on the log scale.
      delta: where the loss turns linear.

    Returns:
      float32 scalar; 0 when no row has a label.
    """
    present = tf.math.is_finite(stay_seconds)
    target = tf.math.log1p(tf.where(present, tf.maximum(stay_seconds, 0.0), 0.0))
    error = tf.abs(output - target)
    huber = tf.where(error <= delta, 0.5 * tf.square(error), delta * (error - 0.5 * delta))
    weight = tf.cast(present, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(weight * huber), tf.reduce_sum(weight))


def log1p_to_seconds(output: tf.Tensor, maximum: float) -> tf.Tensor:
    """Inverse of log(1 + seconds), cut to [0, maximum] seconds."""
    return tf.clip_by_value(tf.math.expm1(tf.minimum(output, tf.math.log1p(maximum))), 0.0, maximum)
