"""`LightGCN`: several hops over one or more relations."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.layers.light_gcn_conv import NORMALIZATIONS, Relation, aggregate, relation_of

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class LightGCN(tf.keras.layers.Layer):
    """``Z = sum_k a_k X^(k)`` with ``X^(k) = P X^(k-1)`` (arXiv 2002.02126, eq. 4), homogeneous or heterogeneous.

    Every edge set is a relation r with a matrix P_r (see `LightGCNConv`). Where several end in one node set, they
    are propagated one by one and mixed with learned scalars, a softmax over those relations in which the node
    has neighbours: ``P X = sum_r softmax(s)_r P_r X_source(r)``. A node without any neighbour sends itself its own
    state (``X^(k) = X``), hence ``Z = X`` there, and `row` keeps constant states constant at any depth.

    The hops are summed here because `tfgnn.keras.layers.GraphUpdate` would overwrite each X^(k) by the next.

    Args:
      edge_set_names: the relations, all from source to target; a two-way relation is two edge sets.
      hops: K.
      layer_weights: a_0..a_K, which must sum to 1; 1/(K+1) each when absent.
      normalization, weight_feature, degree_feature: see `LightGCNConv`.

    Call arguments:
      graph: a scalar GraphTensor; the node sets of the relations have `tfgnn.HIDDEN_STATE` [n, d], one d for all.

    Returns:
      The graph, with Z as the `tfgnn.HIDDEN_STATE` of those node sets.

    Raises:
      ValueError: no or repeated relations, or arguments that `LightGCNConv` would refuse.

    Example:
      >>> graph = tfgnn.homogeneous(  # a path 0 -> 1 -> 2
      ...     tf.constant([0, 1]), tf.constant([1, 2]),
      ...     node_features={tfgnn.HIDDEN_STATE: tf.constant([[9.0], [3.0], [0.0]])})
      >>> z = LightGCN(["edges"], hops=2, weight_feature=None)(graph).node_sets["nodes"][tfgnn.HIDDEN_STATE]
      >>> z.numpy().ravel().tolist()  # (9 + 9 + 9) / 3, (3 + 9 + 9) / 3, (0 + 3 + 9) / 3
      [9.0, 7.0, 4.0]
    """

    def __init__(
        self,
        edge_set_names: Sequence[str],
        hops: int = 1,
        layer_weights: Sequence[float] | None = None,
        normalization: str = "row",
        weight_feature: str | None = "propagation_weight",
        degree_feature: str = "degree",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not edge_set_names or len(set(edge_set_names)) != len(edge_set_names):
            raise ValueError(
                "`edge_set_names` should be one or more distinct names. "
                f"Received: edge_set_names={list(edge_set_names)}"
            )
        if hops < 0:
            raise ValueError(f"`hops` should not be negative. Received: hops={hops}")
        weights = [1 / (hops + 1)] * (hops + 1) if layer_weights is None else list(layer_weights)
        if len(weights) != hops + 1 or abs(sum(weights) - 1.0) > 1e-6:
            raise ValueError(
                f"`layer_weights` should be {hops + 1} numbers that sum to 1. Received: layer_weights={weights}"
            )
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` should be one of {NORMALIZATIONS}. Received: normalization={normalization!r}"
            )
        self.edge_set_names = tuple(edge_set_names)
        self.hops = hops
        self.layer_weights = tuple(float(weight) for weight in weights)
        self.normalization = normalization
        self.weight_feature = weight_feature
        self.degree_feature = degree_feature
        # A single relation has nothing to be mixed with.
        self.relation_logits = (
            self.add_weight(
                "relation_logits",
                shape=(len(self.edge_set_names),),
                initializer="zeros",
                dtype=tf.float32,
                experimental_autocast=False,
            )
            if len(self.edge_set_names) > 1
            else None
        )

    def call(self, graph: tfgnn.GraphTensor) -> tfgnn.GraphTensor:
        """See the class docstring."""
        incoming: dict[str, list[tuple[str, Relation]]] = {}
        states: dict[str, tf.Tensor] = {}
        for name in self.edge_set_names:
            adjacency = graph.edge_sets[name].adjacency
            for node_set in (adjacency.source_name, adjacency.target_name):
                states[node_set] = graph.node_sets[node_set][tfgnn.HIDDEN_STATE]
            relation = relation_of(graph, name, self.normalization, self.weight_feature, self.degree_feature)
            incoming.setdefault(adjacency.target_name, []).append((adjacency.source_name, relation))
        shares = self._shares(graph)
        sums = {name: tf.cast(self.layer_weights[0], x.dtype) * x for name, x in states.items()}
        for layer_weight in self.layer_weights[1:]:
            states = {
                name: _mixed(incoming[name], shares[name], states, x) if name in incoming else x
                for name, x in states.items()
            }
            sums = {name: sums[name] + tf.cast(layer_weight, x.dtype) * x for name, x in states.items()}
        features = {
            name: {**graph.node_sets[name].get_features_dict(), tfgnn.HIDDEN_STATE: z}
            for name, z in sums.items()
        }
        return graph.replace_features(node_sets=features)

    def relation_shares(self, graph: tfgnn.GraphTensor) -> dict[str, tf.Tensor]:
        """Softmax share of every relation among those that end in the same node set; float32 scalars, for
        logging.
        """
        shares = self._shares(graph)
        found: dict[str, tf.Tensor] = {}
        for target, names in self._names_by_target(graph).items():
            found |= dict(zip(names, tf.unstack(shares[target]), strict=True))
        return found

    def _names_by_target(self, graph: tfgnn.GraphTensor) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name in self.edge_set_names:
            groups.setdefault(graph.edge_sets[name].adjacency.target_name, []).append(name)
        return groups

    def _shares(self, graph: tfgnn.GraphTensor) -> dict[str, tf.Tensor]:
        """Softmax over the relations of each receiving node set; float32 [relations]."""
        groups = self._names_by_target(graph)
        if self.relation_logits is None:
            return {target: tf.ones([1]) for target in groups}
        rows = {name: row for row, name in enumerate(self.edge_set_names)}
        return {
            target: tf.nn.softmax(tf.gather(self.relation_logits, [rows[name] for name in names]))
            for target, names in groups.items()
        }

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "edge_set_names": self.edge_set_names,
            "hops": self.hops,
            "layer_weights": self.layer_weights,
            "normalization": self.normalization,
            "weight_feature": self.weight_feature,
            "degree_feature": self.degree_feature,
        }


def _mixed(
    relations: Sequence[tuple[str, Relation]],
    shares: tf.Tensor,
    states: dict[str, tf.Tensor],
    own: tf.Tensor,
) -> tf.Tensor:
    """One hop into a node set: [n, d], its own state where it has no neighbours at all."""
    # A relation in which a node has no neighbours says nothing about it: its share goes to the others.
    present = [tf.cast(relation.has_neighbours, tf.float32) for _, relation in relations]
    share = tf.stack(present, axis=1) * shares
    total = tf.reduce_sum(share, axis=1, keepdims=True)
    columns = tf.split(tf.math.divide_no_nan(share, total), len(relations), axis=1)
    count = tf.shape(own)[0]
    messages = tf.add_n(
        [
            tf.cast(column, own.dtype)
            * aggregate(states[name], relation.source, relation.target, relation.coefficient, count)
            for column, (name, relation) in zip(columns, relations, strict=True)
        ]
    )
    return tf.where(total > 0, messages, own)
