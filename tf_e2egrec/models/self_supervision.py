"""`SelfSupervision`: the self-supervised loss of a batch, by variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.losses.gfae import gfae_loss
from tf_e2egrec.losses.masked_features import by_column, hidden_fields, masked_feature_loss
from tf_e2egrec.models.graph_features import SeedStates

if TYPE_CHECKING:
    from tf_e2egrec.models.e2egrec import E2EGRec


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class SelfSupervision(tf.keras.layers.Layer):
    """`relative` and `literal` compare the X and Z that the ranker uses; `raw_sg` and `masked` encode the batch once
    more, from features whose gradient is stopped (see `gfae_loss` and `masked_feature_loss`).

    The fields of an item are its id embedding and each of its features; `masked` replaces hidden ones by a learned
    token, encodes the seeds among their unhidden neighbours, and reconstructs by a linear decoder.

    Args:
      variant: `relative`, `literal`, `raw_sg` or `masked`.
      widths: columns of each field of an item.
      dim: width of Z.
      mask_rate: share of a seed's fields that `masked` hides.
    """

    def __init__(
        self, variant: str, widths: Sequence[int], dim: int, mask_rate: float = 0.4, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.variant = variant
        self.widths = tuple(widths)
        self.dim = dim
        self.mask_rate = mask_rate
        if variant == "masked":
            self.token = self.add_weight("token", shape=(sum(self.widths),), initializer="zeros")
            # Small: a reconstruction of zeros scores 1, one of the wrong scale much more.
            small = tf.keras.initializers.RandomNormal(stddev=0.01)
            self.decoder = tf.keras.layers.Dense(sum(self.widths), kernel_initializer=small, name="decoder")
            self.decoder.build((None, dim))

    def loss(
        self, network: E2EGRec, graph: tfgnn.GraphTensor, states: SeedStates, mask: tf.Tensor
    ) -> tf.Tensor:
        """The loss of a batch.

        Args:
          network: whose encoder is trained.
          graph: the batch graph.
          states: X and Z of its seeds, as the ranker uses them.
          mask: bool [S], which seeds count.

        Returns:
          float32 scalar.
        """
        if self.variant in ("relative", "literal"):
            return gfae_loss(states.x, states.z, mask, self.variant)
        features = graph.node_sets["item"].get_features_dict()
        items = tf.stop_gradient(network.item_encoder(features))
        raw = tf.gather(items, graph.node_sets["seed"]["item"])
        if self.variant == "raw_sg":
            return gfae_loss(raw, network.encode_seeds(graph, items).z, mask, "raw_sg")
        seed = _seed_of(graph, network)
        hidden = hidden_fields(tf.shape(raw)[0], len(self.widths), self.mask_rate, seed)
        hidden &= mask[:, tf.newaxis]
        shown = tf.where(by_column(hidden, self.widths), tf.cast(self.token, raw.dtype), raw)
        z = network.encode_seeds(graph, items, seed_items=shown).z
        return masked_feature_loss(raw, self.decoder(z), hidden, self.widths)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "variant": self.variant,
            "widths": self.widths,
            "dim": self.dim,
            "mask_rate": self.mask_rate,
        }


def _seed_of(graph: tfgnn.GraphTensor, network: E2EGRec) -> tf.Tensor:
    """int64 [2] from the batch's items and the step: a resumed training hides what an uninterrupted one would."""
    ids = tf.gather(graph.node_sets["item"]["#id"], graph.node_sets["seed"]["item"])
    place = tf.range(1, tf.size(ids, tf.int64) + 1, dtype=tf.int64)
    optimizer = getattr(network, "optimizer", None)
    step = tf.zeros([], tf.int64) if optimizer is None else tf.cast(optimizer.iterations, tf.int64)
    return tf.stack([tf.reduce_sum(ids * place), step])
