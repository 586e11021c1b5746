"""From a request to the rows the model ranks, for every kind of export: impression b * C + c is candidate c of request b."""

from collections.abc import Sequence

import tensorflow as tf

from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.rank_request import RankRequest
from tf_e2egrec.export.serving_features import derived_features
from tf_e2egrec.models.empty_graph import missing_features

_NO_ITEM = MISSING_KEY - 1  # what no candidate is, not even one that is missing


def is_listed(number: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Which places of padded lists are taken: int32 [...] numbers -> bool [..., width]. Fewer ops than `sequence_mask`."""
    return tf.range(width) < tf.expand_dims(number, -1)


def listed_candidates(request: RankRequest) -> tf.Tensor:
    """int64 [B, C], `MISSING_KEY` beyond `num_candidates`: padding becomes unknown items."""
    listed = is_listed(request.num_candidates, tf.shape(request.candidates)[1])
    return tf.where(listed, request.candidates, MISSING_KEY)


def recent_ranks(request: RankRequest, candidates: tf.Tensor, limit: int) -> tf.Tensor:
    """Which recent items count for which candidate: int32 [B, C, H], 1 for the newest, 2, ...; 0 for one that does not.

    Those count that are listed, known by an id and distinct, the newest `limit` of them, and never the candidate itself.
    """
    recent = request.recent
    width = tf.shape(recent)[1]
    listed = is_listed(request.num_recent, width) & (recent >= 0)
    earlier = tf.linalg.band_part(tf.ones([width, width], tf.bool), -1, 0) & ~tf.eye(width, dtype=tf.bool)
    same = (recent[:, :, tf.newaxis] == recent[:, tf.newaxis, :]) & listed[:, tf.newaxis, :]
    distinct = listed & ~tf.reduce_any(same & earlier[tf.newaxis], axis=2)
    place = tf.where(distinct, tf.cumsum(tf.cast(distinct, tf.int32), axis=1), 0)[:, tf.newaxis, :]
    # Of each candidate, its own place among the recent items, which those after it move up by.
    is_candidate = recent[:, tf.newaxis, :] == candidates[:, :, tf.newaxis]
    own = tf.reduce_sum(tf.where(is_candidate, place, 0), axis=2, keepdims=True)
    rank = place - tf.cast((own > 0) & (place > own), tf.int32)
    return tf.where((place != own) & (rank <= limit), rank, 0)


def fresh_places(candidates: tf.Tensor, fresh: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which impressions have a fresh candidate, int64 [M, 1], and which of the B * F fresh items that is, int32 [M].

    Args:
      candidates: int64 [B, C].
      fresh: int64 [B, F]; where an id is there twice, the first counts.
    """
    number = tf.size(fresh)
    # The first is the largest of those that are the candidate: products are faster than choices.
    order = tf.cast(tf.reshape(tf.range(number, 0, -1), tf.shape(fresh)), tf.float32)
    listed = tf.where(fresh >= 0, fresh, _NO_ITEM)
    same = tf.cast(candidates[:, :, tf.newaxis] == listed[:, tf.newaxis, :], tf.float32)
    largest = tf.reshape(tf.reduce_max(same * order[:, tf.newaxis, :], axis=2), [-1])
    place = tf.where(largest > 0)  # of nothing, where F = 0, the largest is minus infinity
    return place, number - tf.cast(tf.gather_nd(largest, place), tf.int32)


def context_rows(
    request: RankRequest,
    first_seen: tf.Tensor,
    recent_count: tf.Tensor,
    features: Sequence[FeatureSpec],
    computed: Sequence[str],
    time_is_rank: bool,
) -> dict[str, tf.Tensor]:
    """Context features of the impressions: those sent, those derived, the others missing; name -> [B * C].

    Args:
      request: the request.
      first_seen: int64 [B * C], of the candidates; negative where unknown.
      recent_count: int32 [B * C].
      features: the description's context features.
      computed: `ranker.computed_from_request`.
      time_is_rank: the logs have no absolute time.
    """
    slots = tf.shape(request.candidates)[1]
    derived = derived_features(
        computed, tf.repeat(request.time, slots), first_seen, recent_count, time_is_rank
    )
    missing = missing_features(features, tf.size(first_seen))
    given = {name: tf.repeat(value, slots) for name, value in request.context.items()}
    return missing | given | derived
