"""The masked form of the Graph Feature Auto-Encoder: hidden fields, reconstructed from the graph."""

from collections.abc import Sequence

import tensorflow as tf

from tf_e2egrec.losses.global_batch import mean_over_replicas


def hidden_fields(rows: tf.Tensor, fields: int, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Which fields of which rows are hidden: a hash of the seed, the same whenever it is asked again.

    Args:
      rows: integer scalar n.
      fields: number of fields per row.
      rate: share of hidden fields, in (0, 1); GraphMAE hides 0.3 to 0.75.
      seed: integer [2].

    Returns:
      bool [n, fields].

    Raises:
      ValueError: a rate that hides nothing or everything.

    Example:
      >>> hidden = hidden_fields(1000, 4, 0.4, tf.constant([1, 2]))
      >>> round(float(tf.reduce_mean(tf.cast(hidden, tf.float32))), 1)
      0.4
    """
    if not 0 < rate < 1:
        raise ValueError(f"`rate` should be between 0 and 1. Received: rate={rate}")
    return tf.random.stateless_uniform(tf.stack([rows, fields]), seed) < rate


def by_column(fields: tf.Tensor, widths: Sequence[int]) -> tf.Tensor:
    """Repeat one value per field over the columns of that field: [n, fields] -> [n, sum(widths)].

    Args:
      fields: [n, fields].
      widths: columns of each field.

    Returns:
      [n, sum(widths)].

    Example:
      >>> by_column(tf.constant([[1, 0]]), [2, 3]).numpy().tolist()
      [[1, 1, 0, 0, 0]]
    """
    return tf.repeat(fields, tf.constant(list(widths)), axis=1)


def masked_feature_loss(
    features: tf.Tensor,
    reconstruction: tf.Tensor,
    hidden: tf.Tensor,
    widths: Sequence[int],
    epsilon: float = 1e-6,
) -> tf.Tensor:
    """Relative squared error of the hidden fields, averaged over the fields (after GraphMAE, arXiv 2205.10803).

    ``L = mean_f  sum_u h_uf ||x_uf - r_uf||^2 / sum_u h_uf ||x_uf||^2``, where h_uf says that field f of row u was
    hidden. A reconstruction of zeros scores 1, a perfect one 0, whatever the fields' units and widths. GraphMAE's
    scaled cosine error is not used: a field of one column has no direction but its sign, and the embedding of an
    unknown id starts at zero, which has none at all.

    It cannot collapse: the target's gradient is stopped, and the caller hides fields of, and sends through the
    graph, stopped features as well; only the encoder, the mask token and the decoder learn.

    Args:
      features: [n, w], the fields side by side, unhidden.
      reconstruction: [n, w], the decoder's output.
      hidden: bool [n, fields]; False also for rows that are to be left out, such as isolated ones.
      widths: columns of each field; their sum is w.
      epsilon: keeps the division finite.

    Returns:
      float32 scalar; fields that are hidden nowhere do not count, and it is 0 where none is hidden anywhere. Under
      `tf.distribute`, its mean over replicas is the loss of the global batch.

    Raises:
      ValueError: widths that do not sum to w.

    Example:
      >>> features = tf.constant([[3.0, 4.0, 1.0], [3.0, 4.0, 1.0]])
      >>> guess = tf.constant([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
      >>> hidden = tf.constant([[True, True], [True, False]])
      >>> round(float(masked_feature_loss(features, guess, hidden, [2, 1])), 4)  # (25 / 50 + 1 / 1) / 2
      0.75
    """
    if sum(widths) != features.shape[-1]:
        raise ValueError(
            f"`widths` should sum to the {features.shape[-1]} columns of `features`. Received: widths={list(widths)}"
        )
    target = tf.stop_gradient(tf.cast(features, tf.float32))
    weight = by_column(tf.cast(hidden, tf.float32), widths)
    columns = [
        tf.reduce_sum(weight * tf.square(value), axis=0)
        for value in (target - tf.cast(reconstruction, tf.float32), target)
    ]
    error, scale = (tf.stack([tf.reduce_sum(f) for f in tf.split(c, list(widths))]) for c in columns)
    scale = mean_over_replicas(scale)
    counted = tf.cast(tf.reduce_any(hidden, axis=0), tf.float32)
    counted = tf.cast(mean_over_replicas(counted) > 0, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(counted * error / (scale + epsilon)), tf.reduce_sum(counted))
