"""`StayObjective`: what the stay tower's output means, in training and in seconds."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.layers import KeyLookup
from tf_e2egrec.losses.duration_quantiles import DurationQuantiles
from tf_e2egrec.losses.stay import (
    d2q_loss,
    d2q_to_seconds,
    huber_log1p_loss,
    log1p_to_seconds,
    wlr_loss,
    wlr_to_seconds,
)
from tf_e2egrec.subgraphs.graph_schema import READOUT

_QUANTILES = 101


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class StayObjective(tf.keras.layers.Layer):
    """A stay loss with its inverse; of `d2q` it holds the tables, which are fitted and never trained.

    `d2q` needs the candidate's own duration in prediction, too. It is taken from the record where that has one, else
    from the item's mean in the training split; a request to a server therefore gets what evaluation saw. Items that
    neither knows are answered by the fall-back group.

    Args:
      loss: `huber_log1p`, `d2q` or `wlr`.
      maximum: seconds; predictions are cut to it.
      items: number of known item ids (`d2q` only).
      groups: duration groups (`d2q` only).
    """

    def __init__(self, loss: str, maximum: float, items: int = 0, groups: int = 30, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_name = loss
        self.maximum = maximum
        self.items = items
        self.groups = groups
        if loss == "d2q":
            self.item_duration = self._table("item_duration", (items + 1,), np.nan)
            self.edges = self._table("edges", (groups - 1,), np.inf)
            self.quantile_seconds = self._table("quantile_seconds", (groups + 1, _QUANTILES), 0.0)

    def _table(self, name: str, shape: tuple[int, ...], value: float) -> tf.Variable:
        return self.add_weight(
            name,
            shape=shape,
            dtype=tf.float32,
            initializer=tf.keras.initializers.Constant(value),
            trainable=False,
            experimental_autocast=False,
        )

    @property
    def quantiles(self) -> DurationQuantiles:
        """The fitted table."""
        return DurationQuantiles(self.edges, self.quantile_seconds)

    def set_tables(self, quantiles: DurationQuantiles, item_duration: np.ndarray) -> None:
        """Set what was fitted on the training split (`d2q` only).

        Args:
          quantiles: of `groups` groups and 101 quantiles.
          item_duration: float32 [items] seconds in the order of the item vocabulary, NaN where unknown.
        """
        self.edges.assign(quantiles.edges)
        self.quantile_seconds.assign(quantiles.seconds)
        self.item_duration.assign(np.r_[np.nan, item_duration])  # row 0: unknown ids

    def start_and_scale(self, mean_log: float, deviation_log: float, mean: float) -> tuple[float, float]:
        """Where the tower's bias starts, and the loss there, roughly.

        Args:
          mean_log, deviation_log: of log(1 + seconds) in the training split.
          mean: of the seconds.
        """
        if self.loss_name == "d2q":
            return 0.0, 1 / 12  # the variance of a uniform number
        if self.loss_name == "wlr":
            mean = max(mean, 1e-3)
            return float(np.log(mean)), float(mean * np.log1p(1 / mean) + np.log1p(mean))
        return mean_log, 0.5 * deviation_log**2  # Huber of the deviations: half the variance

    def durations(self, graph: tfgnn.GraphTensor, lookup: KeyLookup) -> tf.Tensor | None:
        """Durations of a batch graph's candidates, float32 [B] seconds, NaN where unknown; None where no loss needs
        them.
        """
        if self.loss_name != "d2q":
            return None
        candidate = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source
        item = tf.gather(graph.node_sets["seed"]["item"], candidate)
        known = self.known_durations(tf.gather(graph.node_sets["item"]["#id"], item), lookup)
        features = graph.node_sets[READOUT].get_features_dict()
        if "content_duration" not in features:
            return known
        given = features["content_duration"]
        return tf.where(tf.math.is_finite(given), given, known)

    def known_durations(self, keys: tf.Tensor, lookup: KeyLookup) -> tf.Tensor | None:
        """The training split's durations of items by key, float32 [n] seconds, NaN where unknown; None where no loss
        needs them.
        """
        return tf.gather(self.item_duration, lookup(keys)) if self.loss_name == "d2q" else None

    def loss(self, stay_seconds: tf.Tensor, output: tf.Tensor, duration: tf.Tensor | None) -> tf.Tensor:
        """The loss, a float32 scalar; see the functions in `tf_e2egrec.losses`."""
        if self.loss_name == "d2q":
            return d2q_loss(stay_seconds, output, duration, self.quantiles)
        return (wlr_loss if self.loss_name == "wlr" else huber_log1p_loss)(stay_seconds, output)

    def seconds(self, output: tf.Tensor, duration: tf.Tensor | None) -> tf.Tensor:
        """The tower's output as seconds, float32 [B] in [0, maximum]."""
        if self.loss_name == "d2q":
            return tf.clip_by_value(d2q_to_seconds(output, duration, self.quantiles), 0.0, self.maximum)
        return (wlr_to_seconds if self.loss_name == "wlr" else log1p_to_seconds)(output, self.maximum)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "loss": self.loss_name,
            "maximum": self.maximum,
            "items": self.items,
            "groups": self.groups,
        }
