"""The base-reward loss."""

import tensorflow as tf


def reward_loss(reward: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of float32 [n] labels in {0, 1} and float32 [n] logits; a float32 scalar."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=reward, logits=logits))
