"""Bayesian personalised ranking against the other candidates of a batch."""

import tensorflow as tf

from tf_e2egrec.losses.global_batch import mean_over_replicas


def bpr_loss(
    users: tf.Tensor,
    items: tf.Tensor,
    user_ids: tf.Tensor,
    item_ids: tf.Tensor,
    positive: tf.Tensor,
    most_negatives: int = 512,
) -> tf.Tensor:
    """``mean of -log sigmoid(<u, i> - <u, j>)`` over positives (u, i) and negatives j (BPR, arXiv 1205.2618).

    The negatives of a positive are the other items among the first candidates of the batch, but those that are positives of the
    same user.

    Args:
      users, items: float [B, d], vectors of the users and candidates of B impressions.
      user_ids, item_ids: int64 [B], what tells them apart.
      positive: bool [B].
      most_negatives: how many candidates of the batch serve as negatives.

    Returns:
      float32 scalar; 0 where no positive has a negative. Under `tf.distribute`, the negatives of a positive are those of its
      replica; the mean over replicas is the mean over all pairs.

    Example:
      >>> user, items = tf.constant([[1.0], [1.0]]), tf.constant([[2.0], [1.0]])
      >>> ids, same = tf.constant([7, 8], tf.int64), tf.zeros(2, tf.int64)
      >>> round(float(bpr_loss(user, items, same, ids, tf.constant([True, False]))), 4)
      0.3133
    """
    users, items = tf.cast(users, tf.float32), tf.cast(items, tf.float32)
    negatives = slice(most_negatives)
    own = tf.reduce_sum(users * items, axis=-1, keepdims=True)
    others = tf.matmul(users, items[negatives], transpose_b=True)
    is_other_item = item_ids[:, tf.newaxis] != item_ids[tf.newaxis, negatives]
    is_own_positive = (user_ids[:, tf.newaxis] == user_ids[tf.newaxis, negatives]) & positive[
        tf.newaxis, negatives
    ]
    weight = tf.cast(positive[:, tf.newaxis] & is_other_item & ~is_own_positive, tf.float32)
    pairs = mean_over_replicas(tf.reduce_sum(weight))
    return tf.math.divide_no_nan(tf.reduce_sum(weight * tf.nn.softplus(others - own)), pairs)
