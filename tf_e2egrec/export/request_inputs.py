"""`RequestInputs`: names, dtypes and shapes of the inputs of `rank` and `rank_fresh`, and their meaning."""

from collections.abc import Mapping

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription, FeatureSpec
from tf_e2egrec.dataset.ids import KEY_SPACE, MISSING_KEY
from tf_e2egrec.export.rank_request import FreshItems, RankRequest
from tf_e2egrec.export.request_rows import is_listed

FEATURE_PREFIX = "fresh_feature_"


class RequestInputs:
    """Every input has a leading batch dimension, and lists travel with their number: where a server pads the lists of a
    batch, it repeats the first element.

    Args:
      description: names and dtypes.
      string_columns: which of `user`, `item` and the context features carry strings in the logs, and so in requests.
    """

    def __init__(self, description: DatasetDescription, string_columns: frozenset[str]) -> None:
        self._item_features = description.item_features
        self._sampling = description.graph.sampling
        self._strings = string_columns
        derived = set(description.ranker.computed_from_request)
        self._context = [one for one in description.context_features if one.name not in derived]

    def rank(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `rank` by name."""
        specs = {
            "user_id": self._ids("user", 1, "user_id"),
            "time": tf.TensorSpec([None], tf.int64, name="time"),
            "recent": self._ids("item", 2, "recent"),
            "num_recent": tf.TensorSpec([None], tf.int32, name="num_recent"),
            "candidates": self._ids("item", 2, "candidates"),
            "num_candidates": tf.TensorSpec([None], tf.int32, name="num_candidates"),
        }
        for feature in self._context:
            specs[feature.name] = (
                tf.TensorSpec([None], tf.float32, name=feature.name)
                if feature.type != "categorical"
                else self._ids(feature.name, 1, feature.name)
            )
        return specs

    def fresh(self) -> dict[str, tf.TensorSpec]:
        """Inputs that `rank_fresh` has beside those of `rank`."""
        specs = {
            "fresh": self._ids("item", 2, "fresh"),
            "num_fresh": tf.TensorSpec([None], tf.int32, name="num_fresh"),
            "fresh_neighbours": self._ids("item", 3, "fresh_neighbours"),
            "fresh_weights": tf.TensorSpec([None, None, None], tf.float32, name="fresh_weights"),
            "num_fresh_neighbours": tf.TensorSpec([None, None], tf.int32, name="num_fresh_neighbours"),
        }
        for feature in self._item_features:
            name = FEATURE_PREFIX + feature.name
            dtype = tf.int64 if feature.type == "categorical" else tf.float32
            specs[name] = tf.TensorSpec([None, None, *_width(feature)], dtype, name=name)
        return specs

    def embed(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `embed`."""
        return {"items": self._ids("item", 1, "items")}

    def rank_request(self, inputs: Mapping[str, tf.Tensor]) -> RankRequest:
        """The request that the inputs of `rank` make."""
        return RankRequest(
            user=request_keys(inputs["user_id"]),
            time=inputs["time"],
            recent=request_keys(inputs["recent"]),
            num_recent=inputs["num_recent"],
            candidates=request_keys(inputs["candidates"]),
            num_candidates=inputs["num_candidates"],
            context={
                one.name: request_keys(inputs[one.name]) if one.type == "categorical" else inputs[one.name]
                for one in self._context
            },
        )

    def fresh_items(self, inputs: Mapping[str, tf.Tensor]) -> FreshItems:
        """The fresh items of the inputs of `rank_fresh`.

        Neighbours beyond the fanout of candidates are left out, and so are those without an id or a positive, finite
        weight.
        """
        fanout, beta = self._sampling.deterministic_fanout, self._sampling.beta
        neighbours = request_keys(inputs["fresh_neighbours"][:, :, :fanout])
        width = tf.shape(neighbours)[2]
        items = tf.size(inputs["fresh"])  # never -1: a list of another length has to fail here
        flat = tf.stack([items, width])
        neighbours = tf.reshape(neighbours, flat)
        weights = tf.reshape(inputs["fresh_weights"][:, :, :fanout], flat)
        number = tf.reshape(inputs["num_fresh_neighbours"], [items])
        used = is_listed(number, width) & (neighbours >= 0)
        used &= (weights > 0) & (weights <= tf.float32.max)  # of which infinity and NaN are neither
        counted = tf.cast(used, tf.float32)
        features = {}
        for feature in self._item_features:
            values = tf.reshape(inputs[FEATURE_PREFIX + feature.name], [items, *_width(feature)])
            if feature.type == "categorical":
                values = tf.maximum(values, MISSING_KEY)
            elif (
                feature.type == "dense"
            ):  # numbers are checked by the encoder, which knows what a missing one is
                values = tf.where(tf.math.is_finite(values), values, 0.0)
            features[feature.name] = values
        listed = is_listed(inputs["num_fresh"], tf.shape(inputs["fresh"])[1])
        return FreshItems(
            keys=tf.where(listed, request_keys(inputs["fresh"]), MISSING_KEY),
            features=features,
            neighbours=neighbours,
            # The power comes last, and 0 ** beta is 0; but 0 ** 0 is 1. And a product is faster than a choice.
            weights=tf.math.multiply_no_nan(weights, counted) ** beta if beta > 0 else counted,
            neighbours_given=number >= 0,
        )

    def _ids(self, column: str, rank: int, name: str) -> tf.TensorSpec:
        return tf.TensorSpec([None] * rank, tf.string if column in self._strings else tf.int64, name=name)


def request_keys(ids: tf.Tensor) -> tf.Tensor:
    """Raw ids of a request to keys: strings are hashed as the pipelines hash them; negative integers are
    missing.
    """
    if ids.dtype == tf.string:
        return tf.where(
            ids == "", tf.constant(MISSING_KEY, tf.int64), tf.strings.to_hash_bucket_fast(ids, KEY_SPACE)
        )
    return tf.maximum(ids, MISSING_KEY)


def _width(feature: FeatureSpec) -> list[int]:
    """The dimensions of one value: none, or the width of a vector or of a list of categories."""
    is_scalar = feature.width == 1 and feature.type != "dense" and not feature.multivalued
    return [] if is_scalar else [feature.width]
