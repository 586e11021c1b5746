"""`ImpressionVectors`: all that the ranker needs of an impression whose X and Z are known already."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf


class ImpressionVectors(NamedTuple):
    """The input of `E2EGRec.rank_vectors`, n impressions.

    Attributes:
      user: [n, dim], `E2EGRec.user_vectors`.
      user_x: [n, width of X], the same.
      candidate: [n, dim], `ranker` of `E2EGRec.item_vectors`.
      candidate_z: [n, width of X].
      candidate_key: int64 [n], for what is known of its duration.
      history: [n, dim], the mean `ranker` of the recent items; here and below 0 without any.
      history_x, history_z: [n, width of X], the means of X and Z.
      last_z: [n, width of X], Z of the newest.
      has_history: bool [n].
      context: name -> [n], the context features.
    """

    user: tf.Tensor
    user_x: tf.Tensor
    candidate: tf.Tensor
    candidate_z: tf.Tensor
    candidate_key: tf.Tensor
    history: tf.Tensor
    history_x: tf.Tensor
    history_z: tf.Tensor
    last_z: tf.Tensor
    has_history: tf.Tensor
    context: Mapping[str, tf.Tensor]
