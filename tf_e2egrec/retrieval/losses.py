"""Losses on the vectors of a batch of pairs."""

import tensorflow as tf

_NO_CANDIDATE = -1e9


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


def sampled_softmax_loss(
    users: tf.Tensor, items: tf.Tensor, candidates: tf.Tensor, seen: tf.Tensor, temperature: float
) -> tf.Tensor:
    """``mean of -log(e(u, i) / (e(u, i) + sum_j e(u, j)))`` with ``e(u, j) = exp(cos(u, j) / temperature)`` (arXiv 2201.02327).

    The candidates j are the same for all pairs, except that what a user has seen is no negative.

    Args:
      users, items: float32 [B, d], not yet normalised.
      candidates: float32 [N, d], the same.
      seen: int64 [n, 2], pairs (row of `users`, row of `candidates`) that do not count, each once.
      temperature: what cosines are divided by; the smaller, the more the most similar candidates count.

    Returns:
      float32 scalar; 0 where no candidate counts.

    Example:
      >>> east, north = tf.constant([[2.0, 0.0]]), tf.constant([[0.0, 3.0]])
      >>> nothing = tf.zeros((0, 2), tf.int64)
      >>> round(float(sampled_softmax_loss(east, east, north, nothing, 1.0)), 4)  # log(1 + 1 / e)
      0.3133
    """
    users, items, candidates = (tf.math.l2_normalize(one, axis=1) for one in (users, items, candidates))
    own = tf.reduce_sum(users * items, axis=1) / temperature
    others = tf.matmul(users, candidates / temperature, transpose_b=True)
    # Not -inf, whose differences are no numbers where nothing counts.
    nothing = tf.fill(tf.shape(seen)[:1], tf.constant(_NO_CANDIDATE, tf.float32))
    others = tf.reduce_logsumexp(tf.tensor_scatter_nd_update(others, seen, nothing), axis=1)
    return tf.reduce_mean(tf.nn.softplus(others - own))


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
