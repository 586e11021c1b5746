"""Stay-duration losses and their inverse transforms to seconds.

Each loss is a mean over the rows that have a label; rows without one (NaN) are masked, never imputed. Under
`tf.distribute`, its mean over replicas is the mean over the labelled rows of the global batch.
"""

import tensorflow as tf

from tf_e2egrec.losses.duration_quantiles import DurationQuantiles, quantile_of, seconds_at
from tf_e2egrec.losses.global_batch import mean_over_replicas


def huber_log1p_loss(stay_seconds: tf.Tensor, output: tf.Tensor, delta: float = 1.0) -> tf.Tensor:
    """Mean Huber loss on log(1 + seconds).

    Args:
      stay_seconds: float32 [n], NaN where there is no label.
      output: float32 [n], the tower's output, on the log scale.
      delta: where the loss turns linear.

    Returns:
      float32 scalar; 0 when no row has a label.

    Example:
      >>> round(float(huber_log1p_loss(tf.constant([0.0, float("nan")]), tf.constant([0.5, 9.0]))), 4)
      0.125
    """
    present, seconds = _labelled(stay_seconds)
    error = tf.abs(output - tf.math.log1p(seconds))
    huber = tf.where(error <= delta, 0.5 * tf.square(error), delta * (error - 0.5 * delta))
    return _mean(huber, present)


def log1p_to_seconds(output: tf.Tensor, maximum: float) -> tf.Tensor:
    """Inverse of log(1 + seconds), cut to [0, maximum] seconds.

    Args:
      output: float32 [n], the output of a tower trained by `huber_log1p_loss`.
      maximum: seconds.

    Returns:
      float32 [n] seconds.

    Example:
      >>> log1p_to_seconds(tf.math.log1p([0.0, 30.0, 900.0]), 600.0).numpy().round(3).tolist()
      [0.0, 30.0, 600.0]
    """
    return tf.clip_by_value(tf.math.expm1(tf.minimum(output, tf.math.log1p(maximum))), 0.0, maximum)


def d2q_loss(
    stay_seconds: tf.Tensor, output: tf.Tensor, duration: tf.Tensor, table: DurationQuantiles
) -> tf.Tensor:
    """Mean squared error of the watch time's quantile among contents of like duration (D2Q, arXiv 2206.06003).

    Long contents are watched longer whether they please or not; the quantile within the duration group takes
    that out of the label. The tower's output passes a sigmoid, so that it is a quantile from the start.

    Args:
      stay_seconds: float32 [n], NaN where there is no label.
      output: float32 [n], the logit of the quantile.
      duration: float32 [n], the content's own length in seconds, NaN where unknown (the fall-back group).
      table: from `fit_duration_quantiles` on the training split.

    Returns:
      float32 scalar; 0 when no row has a label.

    Example:
      >>> table = DurationQuantiles(np.float32([]), np.float32([[0, 10, 40], [0, 10, 40]]))
      >>> float(d2q_loss(tf.constant([40.0]), tf.constant([0.0]), tf.constant([30.0]), table))  # (1 - 1/2)^2
      0.25
    """
    present, seconds = _labelled(stay_seconds)
    return _mean(tf.square(tf.sigmoid(output) - quantile_of(seconds, duration, table)), present)


def d2q_to_seconds(output: tf.Tensor, duration: tf.Tensor, table: DurationQuantiles) -> tf.Tensor:
    """Logit of a quantile -> the watch time at that quantile of the content's duration group.

    Args:
      output: float32 [n], the output of a tower trained by `d2q_loss`.
      duration: float32 [n] seconds, NaN where unknown: the fall-back group answers.
      table: from `fit_duration_quantiles`.

    Returns:
      float32 [n] seconds.

    Example:
      >>> table = DurationQuantiles(np.float32([60]), np.float32([[0, 10, 40], [0, 5, 9], [0, 50, 90]]))
      >>> d2q_to_seconds(tf.zeros(3), tf.constant([np.nan, 30.0, 90.0]), table).numpy().tolist()
      [10.0, 5.0, 50.0]
    """
    return seconds_at(tf.sigmoid(output), duration, table)


def wlr_loss(stay_seconds: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Weighted logistic regression: the odds are the expected watch time (Covington et al., RecSys 2016).

    Each labelled row counts as a positive of weight T (seconds) and as a negative of weight 1:
    ``L = mean(T softplus(-o) + softplus(o))``, whose minimum is at ``exp(o) = E[T]`` exactly. With negatives taken
    from unwatched rows alone, as published, the odds are E[T] only where watching is rare.

    Args:
      stay_seconds: float32 [n], NaN where there is no label.
      output: float32 [n], the log-odds.

    Returns:
      float32 scalar; 0 when no row has a label.

    Example:
      >>> round(float(wlr_loss(tf.constant([3.0]), tf.constant([0.0]))), 4)  # 4 log 2
      2.7726
    """
    present, seconds = _labelled(stay_seconds)
    return _mean(seconds * tf.math.softplus(-output) + tf.math.softplus(output), present)


def wlr_to_seconds(output: tf.Tensor, maximum: float) -> tf.Tensor:
    """Odds, which are the expected watch time; cut to [0, maximum] seconds.

    Args:
      output: float32 [n], the output of a tower trained by `wlr_loss`.
      maximum: seconds.

    Returns:
      float32 [n] seconds.

    Example:
      >>> wlr_to_seconds(tf.math.log([30.0, 900.0]), 600.0).numpy().round(3).tolist()
      [30.0, 600.0]
    """
    return tf.minimum(tf.exp(tf.minimum(output, tf.math.log(maximum))), maximum)


def _labelled(stay_seconds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows have a label, and non-negative finite seconds for all."""
    present = tf.math.is_finite(stay_seconds)
    return present, tf.where(present, tf.maximum(stay_seconds, 0.0), 0.0)


def _mean(values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weight = tf.cast(present, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(weight * values), mean_over_replicas(tf.reduce_sum(weight)))
