"""Features that the pipelines derive, computed in the graph for a request."""

from collections.abc import Sequence

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.time_axis import MS_PER_DAY, RANK_SCALE

_MS_PER_HOUR = MS_PER_DAY // 24


def derived_features(
    names: Sequence[str], time: tf.Tensor, first_seen: tf.Tensor, recent_count: tf.Tensor, time_is_rank: bool
) -> dict[str, tf.Tensor]:
    """The request's counterpart of the pipeline's derived features (`ranker.derived`).

    Args:
      names: which ones.
      time: int64 [n], the moment of the request in milliseconds; negative: unknown, the features are then
        missing.
      first_seen: int64 [n], when each candidate first appeared; negative: never.
      recent_count: int32 [n], number of recent items.
      time_is_rank: the logs have no absolute time.

    Returns:
      name -> float32 [n], or int64 [n] for the categorical `hour_of_day` and `day_of_week`.
    """
    known = time >= 0
    has_dates = known & (not time_is_rank)
    unit = RANK_SCALE if time_is_rank else _MS_PER_HOUR
    age = tf.math.log1p(tf.cast(time - first_seen, tf.float64) / float(unit))
    missing = tf.constant(MISSING_KEY, tf.int64)
    computed = {
        "hour_of_day": tf.where(has_dates, time // _MS_PER_HOUR % 24, missing),
        # The epoch was a Thursday; Monday is 0.
        "day_of_week": tf.where(has_dates, (time // MS_PER_DAY + 3) % 7, missing),
        "item_age": tf.cast(
            tf.where(known & (first_seen >= 0) & (first_seen < time), age, float("nan")), tf.float32
        ),
        "recent_count": tf.math.log1p(tf.cast(recent_count, tf.float32)),
    }
    return {name: computed[name] for name in names}
