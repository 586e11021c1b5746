"""A ranking request inside the exported graph, after its ids became keys."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf


class RankRequest(NamedTuple):
    """What every request has.

    Attributes:
      user: int64 [B].
      time: int64 [B], milliseconds, -1 unknown.
      recent: int64 [B, H], newest first.
      num_recent: int32 [B].
      candidates: int64 [B, C].
      num_candidates: int32 [B].
      context: name -> [B].
    """

    user: tf.Tensor
    time: tf.Tensor
    recent: tf.Tensor
    num_recent: tf.Tensor
    candidates: tf.Tensor
    num_candidates: tf.Tensor
    context: Mapping[str, tf.Tensor]


class FreshItems(NamedTuple):
    """Candidates whose features and neighbours come with the request; N = B * F, row-major.

    Attributes:
      keys: int64 [B, F], `MISSING_KEY` where nothing is listed.
      features: name -> [N] or [N, width].
      neighbours: int64 [N, K], anything where the weight is 0.
      weights: float32 [N, K], w ** beta, 0 where no neighbour is listed.
      neighbours_given: bool [N], False where the caller leaves the neighbours to the model.
    """

    keys: tf.Tensor
    features: Mapping[str, tf.Tensor]
    neighbours: tf.Tensor
    weights: tf.Tensor
    neighbours_given: tf.Tensor
