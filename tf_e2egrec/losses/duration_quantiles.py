"""Watch time as its quantile among contents of like duration (D2Q, arXiv 2206.06003), and back."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

FEWEST_ROWS = 50  # per duration group; fewer say little about a hundred quantiles


class DurationQuantiles(NamedTuple):
    """Empirical quantiles of the watch time by duration group; arrays or tensors.

    Row 0 is the fall-back group, fitted on all rows: it serves contents of unknown duration. Row 1 + g holds
    durations in ``[edges[g - 1], edges[g])``.

    Attributes:
      edges: float32 [groups - 1] seconds, ascending; infinite where there are fewer groups.
      seconds: float32 [groups + 1, quantiles], ascending along the rows; column j is the quantile
        j / (quantiles - 1).
    """

    edges: np.ndarray | tf.Tensor
    seconds: np.ndarray | tf.Tensor


def fit_duration_quantiles(
    stay_seconds: np.ndarray, duration: np.ndarray, groups: int = 30, quantiles: int = 101
) -> DurationQuantiles:
    """Cut the durations into groups of equal frequency, and take each group's quantiles.

    Args:
      stay_seconds: float [n], NaN where there is no label; of the training split only.
      duration: float [n] seconds, NaN where unknown.
      groups: most groups; fewer where rows are few (50 each) or durations repeat.
      quantiles: points of each group's distribution, at least 2.

    Returns:
      float32 arrays of the shapes that `groups` and `quantiles` give; zeros where no row has a label.

    Example:
      >>> stay, duration = np.arange(100.0), np.repeat([10.0, 60.0], 50)
      >>> table = fit_duration_quantiles(stay, duration, groups=2, quantiles=3)
      >>> table.edges.tolist(), table.seconds.tolist()
      ([60.0], [[0.0, 49.5, 99.0], [0.0, 24.5, 49.0], [50.0, 74.5, 99.0]])
    """
    labelled = np.isfinite(stay_seconds)
    stay, duration = stay_seconds[labelled], duration[labelled]
    edges = np.full(groups - 1, np.inf, np.float32)
    seconds = np.zeros((groups + 1, quantiles), np.float32)
    if not len(stay):
        return DurationQuantiles(edges, seconds)
    grid = np.linspace(0, 1, quantiles)
    seconds[:] = np.quantile(stay, grid)
    known = np.isfinite(duration)
    stay, duration = stay[known], duration[known].astype(np.float32)
    count = min(groups, len(stay) // FEWEST_ROWS)
    if count > 1:
        ranks = -(
            -np.arange(1, count) * (len(duration) - 1) // count
        )  # in integers: a share such as 11/20 is not exact
        cuts = np.unique(np.sort(duration)[ranks])
        cuts = cuts[cuts > duration.min()]
        edges[: len(cuts)] = cuts
    group = np.searchsorted(edges, duration, side="right")
    for number in np.unique(group):
        seconds[1 + number] = np.quantile(stay[group == number], grid)
    return DurationQuantiles(edges, seconds)


def quantile_of(seconds: tf.Tensor, duration: tf.Tensor, table: DurationQuantiles) -> tf.Tensor:
    """Watch time -> its quantile among contents of like duration.

    Between two points of the table it is linear; a watch time that many rows share (zero, the content's end) is
    the middle of its quantiles.

    Args:
      seconds: float32 [n], finite.
      duration: float32 [n] seconds, NaN where unknown.
      table: from `fit_duration_quantiles`.

    Returns:
      float32 [n] in [0, 1].

    Example:
      >>> table = DurationQuantiles(np.float32([]), np.float32([[0, 10, 40], [0, 10, 40]]))
      >>> quantile_of(tf.constant([5.0, 40.0, 99.0]), tf.constant([np.nan, 1.0, 1.0]), table).numpy().tolist()
      [0.25, 1.0, 1.0]
    """
    rows = tf.gather(table.seconds, _group(duration, table))
    last = rows.shape[-1] - 1
    value = seconds[:, tf.newaxis]
    below, upto = (tf.squeeze(tf.searchsorted(rows, value, side=side), axis=1) for side in ("left", "right"))
    low = tf.gather(rows, tf.clip_by_value(below - 1, 0, last), batch_dims=1)
    high = tf.gather(rows, tf.clip_by_value(below, 0, last), batch_dims=1)
    between = tf.cast(below, tf.float32) - 1.0 + tf.math.divide_no_nan(seconds - low, high - low)
    shared = tf.cast(below + upto - 1, tf.float32) / 2.0
    return tf.clip_by_value(tf.where(upto > below, shared, between) / last, 0.0, 1.0)


def seconds_at(quantile: tf.Tensor, duration: tf.Tensor, table: DurationQuantiles) -> tf.Tensor:
    """Quantile -> watch time: the inverse of `quantile_of` within each group's range.

    Args:
      quantile: float32 [n] in [0, 1].
      duration: float32 [n] seconds, NaN where unknown: the fall-back group answers.
      table: from `fit_duration_quantiles`.

    Returns:
      float32 [n] seconds.

    Example:
      >>> table = DurationQuantiles(np.float32([60]), np.float32([[0, 10, 40], [0, 5, 9], [0, 50, 90]]))
      >>> seconds_at(tf.constant([0.75, 0.75, 0.75]), tf.constant([np.nan, 30.0, 60.0]), table).numpy().tolist()
      [25.0, 7.0, 70.0]
    """
    rows = tf.gather(table.seconds, _group(duration, table))
    last = rows.shape[-1] - 1
    position = tf.clip_by_value(quantile, 0.0, 1.0) * last
    low = tf.minimum(tf.cast(position, tf.int32), max(last - 1, 0))
    share = position - tf.cast(low, tf.float32)
    ends = [tf.gather(rows, low + step, batch_dims=1) for step in (0, min(last, 1))]
    return ends[0] + share * (ends[1] - ends[0])


def _group(duration: tf.Tensor, table: DurationQuantiles) -> tf.Tensor:
    """Rows of `table.seconds`; int32 [n], 0 where the duration is unknown."""
    known = tf.math.is_finite(duration)
    group = tf.searchsorted(tf.convert_to_tensor(table.edges), tf.where(known, duration, 0.0), side="right")
    return tf.where(known, 1 + group, 0)
