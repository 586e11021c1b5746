"""A batch graph of one impression without neighbours, to build models with."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph


def empty_batch_graph(inputs: ModelInputs) -> tfgnn.GraphTensor:
    """One impression of an unknown user and an unknown item, with every feature missing."""
    none = tf.zeros([0], tf.int32)
    unknown = tf.constant([MISSING_KEY], tf.int64)
    weights = tf.zeros([0], tf.float32)
    return assemble_batch_graph(
        item_ids=unknown,
        item_features=missing_features(inputs.item_features, 1),
        seed_item=tf.zeros([1], tf.int32),
        swing_source=none,
        swing_target=none,
        swing_features={"weight": weights, "propagation_weight": weights},
        user_ids=unknown,
        user_features=missing_features(inputs.user_features, 1),
        recent_source=none,
        recent_target=none,
        recent_age=weights,
        candidate_seed=tf.zeros([1], tf.int32),
        readout_features=missing_features(inputs.context_features, 1),
    )


def missing_features(features: Sequence[FeatureSpec], count: int) -> dict[str, tf.Tensor]:
    """`count` rows in which every feature is missing."""
    values = {}
    for feature in features:
        shape = (
            [count]
            if feature.width == 1 and feature.type != "dense" and not feature.multivalued
            else [count, feature.width]
        )
        if feature.type == "categorical":
            values[feature.name] = tf.fill(shape, tf.constant(MISSING_KEY, tf.int64))
        else:
            values[feature.name] = tf.fill(shape, 0.0 if feature.type == "dense" else float("nan"))
    return values
