"""Losses on the vectors of a batch of pairs."""

import tensorflow as tf


def sampled_bpr_loss(users: tf.Tensor, items: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
    """``mean of -log sigmoid(<u, i> - <u, j>)``, one negative per pair (BPR, arXiv 1205.2618).

    Args:
      users, items, negatives: float32 [B, d].

    Returns:
      float32 scalar.

    Example:
      >>> one = tf.constant([[1.0]])
      >>> round(float(sampled_bpr_loss(one, 2 * one, one)), 4)
      0.3133
    """
    return tf.reduce_mean(tf.nn.softplus(tf.reduce_sum(users * (negatives - items), axis=1)))


def alignment_uniformity_loss(users: tf.Tensor, items: tf.Tensor, gamma: float) -> tf.Tensor:
    """``mean ||u - i||^2 + gamma * (U(u) + U(i)) / 2`` of L2-normalised vectors (DirectAU, arXiv 2206.12811).

    Args:
      users, items: float32 [B, d], not yet normalised; B is 2 at least.
      gamma: weight of the uniformity.

    Returns:
      float32 scalar.
    """
    users, items = tf.math.l2_normalize(users, axis=1), tf.math.l2_normalize(items, axis=1)
    alignment = tf.reduce_mean(tf.reduce_sum(tf.math.squared_difference(users, items), axis=1))
    return alignment + gamma * (uniformity(users) + uniformity(items)) / 2


def uniformity(vectors: tf.Tensor) -> tf.Tensor:
    """``U(x) = log mean over a < b of exp(-2 ||x_a - x_b||^2)`` of unit vectors float32 [B, d]; float32 scalar.

    All pairs (a, b) are computed and the diagonal, where each is exp(0) = 1, is taken off: the sum holds each wanted pair twice.

    Example:
      >>> round(float(uniformity(tf.constant([[1.0, 0.0], [0.0, 1.0]]))), 4)
      -4.0
    """
    count = tf.cast(tf.shape(vectors)[0], tf.float32)
    # ||a - b||^2 = 2 - 2 <a, b>; rounding may not make it negative.
    distance = tf.nn.relu(2.0 - 2.0 * tf.matmul(vectors, vectors, transpose_b=True))
    potential = tf.linalg.set_diag(tf.exp(-2.0 * distance), tf.zeros_like(vectors[:, 0]))
    return tf.math.log(tf.reduce_sum(potential) / (count * (count - 1.0)))
