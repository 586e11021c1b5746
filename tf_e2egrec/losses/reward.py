"""The base-reward loss."""

import tensorflow as tf


def reward_loss(reward: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy (E2E-GRec's base-reward tower).

    Args:
      reward: float32 [n] labels in {0, 1}.
      logits: float32 [n].

    Returns:
      float32 scalar.

    Example:
      >>> round(float(reward_loss(tf.constant([1.0, 0.0]), tf.constant([0.0, 0.0]))), 4)  # log 2
      0.6931
    """
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=reward, logits=logits))
