"""What a loss has to know of the other replicas, so that the mean over replicas is the loss of the global batch.

Under `tf.distribute` every replica sees a part of the batch. A loss that is a ratio of sums, or a mean over rows that not
every replica has alike, is not the mean of the parts' losses; it is, once its denominator is that of the whole.
"""

import tensorflow as tf


def mean_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of a denominator over the replicas of a step; outside of replicas the value itself.

    With ``numerator / mean_over_replicas(denominator)`` as each replica's loss, the mean over replicas is ``sum of numerators /
    sum of denominators``, and so is its gradient.

    Args:
      value: of any shape, the same on all replicas; held constant in differentiation.

    Returns:
      As `value`.

    Example:
      >>> float(mean_over_replicas(tf.constant(3.0)))
      3.0
    """
    value = tf.stop_gradient(value)
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def first_of_each(ids: tf.Tensor) -> tf.Tensor:
    """True at the first occurrence of each id in the global batch, whose order is that of the replicas.

    Args:
      ids: integer [n]; those of the same thing are the same on all replicas.

    Returns:
      bool [n].

    Example:
      >>> first_of_each(tf.constant([7, 3, 7, 7, 3])).numpy().tolist()
      [True, True, False, False, False]
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return _first_of_each(ids)
    counts = context.all_gather(tf.shape(ids), axis=0)
    start = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    everything = context.all_gather(ids, axis=0)
    return _first_of_each(everything)[start : start + tf.shape(ids)[0]]


def _first_of_each(ids: tf.Tensor) -> tf.Tensor:
    count = tf.shape(ids)[0]
    values, position = tf.unique(ids)
    first = tf.math.unsorted_segment_min(tf.range(count), position, tf.shape(values)[0])
    return tf.gather(first, position) == tf.range(count)
