"""The effective rank of a matrix of states."""

import tensorflow as tf


def effective_rank(states: tf.Tensor) -> tf.Tensor:
    """``exp(entropy of the singular values over their sum)`` (Roy & Vetterli 2007).

    Args:
      states: float [n, d], one state per row.

    Returns:
      float32 scalar from 1 to min(n, d); 0 for a zero matrix, one without rows, or one that is not finite.

    Example:
      >>> round(float(effective_rank(tf.eye(3))), 4)
      3.0
    """
    states = tf.cast(states, tf.float64)  # the squares of singular values need the digits
    is_finite = tf.reduce_all(tf.math.is_finite(states))
    states = tf.where(is_finite, states, tf.zeros_like(states))
    squares = tf.linalg.eigvalsh(tf.matmul(states, states, transpose_a=True))
    values = tf.sqrt(tf.maximum(squares, 0.0))
    shares = tf.math.divide_no_nan(values, tf.reduce_sum(values))
    entropy = -tf.reduce_sum(tf.math.xlogy(shares, shares))
    return tf.cast(tf.where(tf.reduce_sum(shares) > 0, tf.exp(entropy), 0.0), tf.float32)
