"""The base-reward loss."""

import tensorflow as tf

from tf_e2egrec.losses.global_batch import mean_over_replicas


def reward_loss(reward: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy (E2E-GRec's base-reward tower).

    Args:
      reward: float32 [n] labels in {0, 1}.
      logits: float32 [n].

    Returns:
      float32 scalar. Under `tf.distribute`, its mean over replicas is the mean over the global batch.

    Example:
      >>> round(float(reward_loss(tf.constant([1.0, 0.0]), tf.constant([0.0, 0.0]))), 4)  # log 2
      0.6931
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=reward, logits=logits)
    return tf.reduce_sum(losses) / mean_over_replicas(tf.cast(tf.size(losses), losses.dtype))
