"""`FeatureTable`: node features by key, as TensorFlow tensors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows

if TYPE_CHECKING:
    from tf_e2egrec.dataset.node_table import NodeTable


class FeatureTable(tf.Module):
    """Looks up the features of items or users by key, in plain TensorFlow ops (it works in tf.data, in a
    model, and when served).

    The features of a key that the table lacks are missing: -1 for categorical features, NaN for numeric ones,
      zeros for dense ones.

    Args:
      table: the node table, sorted by key.
      features: which features to serve.
    """

    def __init__(self, table: "NodeTable", features: Sequence[FeatureSpec]) -> None:
        super().__init__(name="feature_table")
        # Variables, not constants: a SavedModel keeps them beside the graph, which must stay below 2 GB.
        self.keys = tf.Variable(table.key, dtype=tf.int64, trainable=False, name="keys")
        self._columns = {
            feature.name: tf.Variable(
                _with_missing_row(table.features[feature.name], feature), trainable=False, name=feature.name
            )
            for feature in features
        }

    def __call__(self, keys: tf.Tensor) -> dict[str, tf.Tensor]:
        """Features of int64 [n] keys: name -> [n] or [n, width]."""
        if not self._columns:
            return {}
        rows = sorted_rows(self.keys, keys) + 1
        return {name: tf.gather(column, rows) for name, column in self._columns.items()}


def _with_missing_row(values: np.ndarray, feature: FeatureSpec) -> np.ndarray:
    missing: float = {"categorical": MISSING_KEY, "numeric": np.nan, "dense": 0.0}[feature.type]
    return np.concatenate([np.full((1, *values.shape[1:]), missing, values.dtype), values])
