"""`LightGCNConv`: the LightGCN propagation as a TF-GNN convolution."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()

NORMALIZATIONS = ("row", "sym_local", "sym_global")


class Relation(NamedTuple):
    """One edge set as a matrix P: ``P[target, source] = coefficient``.

    Attributes:
      source, target: integer [num_edges].
      coefficient: float32 [num_edges], p_uv.
      has_neighbours: bool [num_receivers], False where the row of P is empty.
    """

    source: tf.Tensor
    target: tf.Tensor
    coefficient: tf.Tensor
    has_neighbours: tf.Tensor


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class LightGCNConv(tf.keras.layers.Layer):
    """One LightGCN hop: ``Z_u = a_0 X_u + a_1 * sum_v p_uv X_v``; a receiver without neighbours keeps ``Z_u =
    X_u``.

    No feature transform and no non-linearity (arXiv 2002.02126, eq. 7, with the residual weights of
    E2E-GRec's X + AX).

    Args:
      layer_weights: (a_0, a_1), which must sum to 1 (otherwise the GFAE loss could be zeroed by shrinking X).
      normalization: `row`: p_uv is the edge weight divided by the receiver's sum of weights (a mean where the
        weights are equal); `sym_local`: w_uv / sqrt(d_u d_v) with weighted degrees inside the given graph;
        `sym_global`: the same with degrees of the whole graph, which a sampled subgraph cannot know.
      weight_feature: the edge feature that holds the weights; None means 1 per edge. Edges of weight 0 do not
        exist.
      degree_feature: `sym_global` only; the feature of both node sets that holds their weighted degrees in the
        whole graph, float32 [num_nodes]. `{edge_set}` in it stands for the edge set's name.

    Call arguments:
      graph: a scalar GraphTensor; its source and target node sets have `tfgnn.HIDDEN_STATE` [n, d].
      edge_set_name: edges from sender (source) to receiver (target).

    Returns:
      [num_receivers, d], fit for `tfgnn.keras.layers.NodeSetUpdate` with `SingleInputNextState`.

    Raises:
      ValueError: weights that do not sum to 1, an unknown normalization, or a node set without degrees.

    Example:
      >>> graph = tfgnn.homogeneous(
      ...     tf.constant([1, 2]), tf.constant([0, 0]),
      ...     node_features={tfgnn.HIDDEN_STATE: tf.constant([[1.0], [2.0], [4.0]])},
      ...     edge_features={"propagation_weight": tf.constant([1.0, 3.0])})
      >>> LightGCNConv()(graph, edge_set_name="edges").numpy().ravel().tolist()  # 1/2 + (1/4 * 2 + 3/4 * 4) / 2
      [2.25, 2.0, 4.0]
    """

    def __init__(
        self,
        layer_weights: Sequence[float] = (0.5, 0.5),
        normalization: str = "row",
        weight_feature: str | None = "propagation_weight",
        degree_feature: str = "degree",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(layer_weights) != 2 or abs(sum(layer_weights) - 1.0) > 1e-6:
            raise ValueError(
                f"`layer_weights` should be two numbers that sum to 1. Received: layer_weights={layer_weights}"
            )
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` should be one of {NORMALIZATIONS}. Received: normalization={normalization!r}"
            )
        self.layer_weights = tuple(float(weight) for weight in layer_weights)
        self.normalization = normalization
        self.weight_feature = weight_feature
        self.degree_feature = degree_feature

    def call(self, graph: tfgnn.GraphTensor, edge_set_name: str) -> tf.Tensor:
        """See the class docstring."""
        adjacency = graph.edge_sets[edge_set_name].adjacency
        sender = graph.node_sets[adjacency.source_name][tfgnn.HIDDEN_STATE]
        receiver = graph.node_sets[adjacency.target_name][tfgnn.HIDDEN_STATE]
        relation = relation_of(
            graph, edge_set_name, self.normalization, self.weight_feature, self.degree_feature
        )
        return _propagate(sender, receiver, relation, self.layer_weights)

    def projected(
        self, graph: tfgnn.GraphTensor, edge_set_name: str, project: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """The layer after a linear map: ``Z_u = a_0 X_u + a_1 * W(sum_v p_uv E_v)``, where X = W(E).

        Args:
          graph: as for a call, but senders have E [num_senders, w], and receivers X [num_receivers, d].
          edge_set_name: as for a call.
          project: W, a linear map from w to d columns. Senders outnumber receivers: it is cheaper to map the latter's sums,
            and only of those that have edges.
        """
        adjacency = graph.edge_sets[edge_set_name].adjacency
        sender = graph.node_sets[adjacency.source_name][tfgnn.HIDDEN_STATE]
        receiver = graph.node_sets[adjacency.target_name][tfgnn.HIDDEN_STATE]
        relation = relation_of(
            graph, edge_set_name, self.normalization, self.weight_feature, self.degree_feature
        )
        count = tf.shape(receiver)[0]
        degree = tf.math.bincount(tf.cast(relation.target, tf.int32), minlength=count, maxlength=count)
        reached = tf.where(degree > 0)
        rank = tf.cumsum(tf.cast(degree > 0, tf.int32)) - 1
        target = tf.gather(rank, relation.target)
        sums = aggregate(sender, relation.source, target, relation.coefficient, tf.shape(reached)[0])
        messages = tf.scatter_nd(reached, project(sums), tf.shape(receiver, tf.int64))
        return _combined(receiver, messages, relation.has_neighbours, self.layer_weights)

    def propagate(
        self, sender: tf.Tensor, receiver: tf.Tensor, source: tf.Tensor, target: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        """The layer on plain tensors, which are those of `propagate_lightgcn`; [num_receivers, d]."""
        return propagate_lightgcn(
            sender, receiver, source, target, weight, self.layer_weights, self.normalization
        )

    def from_mean(self, receiver: tf.Tensor, mean: tf.Tensor, has_neighbours: tf.Tensor) -> tf.Tensor:
        """The layer under `normalization="row"`, of receivers [n, d] whose neighbours' weighted mean is known [n, d];
        bool [n] says which have any.
        """
        return _combined(receiver, mean, has_neighbours, self.layer_weights)

    def coefficients(self, has_neighbours: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What a receiver and its neighbours' weighted mean are multiplied by: bool [n, 1] -> float32 [n, 1] twice."""
        return _coefficients(tf.cast(has_neighbours, tf.float32), self.layer_weights)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "layer_weights": self.layer_weights,
            "normalization": self.normalization,
            "weight_feature": self.weight_feature,
            "degree_feature": self.degree_feature,
        }


def relation_of(
    graph: tfgnn.GraphTensor,
    edge_set_name: str,
    normalization: str,
    weight_feature: str | None,
    degree_feature: str,
) -> Relation:
    """The matrix P of an edge set; see `LightGCNConv` for the arguments.

    Raises:
      ValueError: `sym_global`, and a node set has no degrees.
    """
    edge_set = graph.edge_sets[edge_set_name]
    adjacency = edge_set.adjacency
    weight = edge_set[weight_feature] if weight_feature else tf.ones_like(adjacency.source, tf.float32)
    ends = (adjacency.source_name, adjacency.target_name)
    degrees = None
    if normalization == "sym_global":
        name = degree_feature.format(edge_set=edge_set_name)
        for end in ends:
            if name not in graph.node_sets[end].features:
                raise ValueError(
                    f"`normalization='sym_global'` needs the degrees of the whole graph as the feature {name!r} "
                    f"of node set {end!r}. Received: features {sorted(graph.node_sets[end].features)}"
                )
        degrees = tuple(graph.node_sets[end][name] for end in ends)
    sizes = tuple(tf.shape(graph.node_sets[end][tfgnn.HIDDEN_STATE])[0] for end in ends)
    return _relation(weight, adjacency.source, adjacency.target, sizes, normalization, degrees)


def propagate_lightgcn(
    sender: tf.Tensor,
    receiver: tf.Tensor,
    source: tf.Tensor,
    target: tf.Tensor,
    weight: tf.Tensor,
    layer_weights: Sequence[float] = (0.5, 0.5),
    normalization: str = "row",
    degrees: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tf.Tensor:
    """The formula of `LightGCNConv` on plain tensors.

    Args:
      sender: [num_senders, d], X of the neighbours.
      receiver: [num_receivers, d], X of the receivers.
      source, target: integer [num_edges], rows of `sender` and `receiver`.
      weight: float32 [num_edges], non-negative; edges of weight 0 do not exist.
      layer_weights: (a_0, a_1).
      normalization: `row`, `sym_local` or `sym_global`.
      degrees: `sym_global` only; float32 [num_senders] and [num_receivers], weighted degrees in the whole graph.

    Returns:
      [num_receivers, d].

    Raises:
      ValueError: `sym_global` without degrees.

    Example:
      >>> x = tf.constant([[1.0], [2.0], [4.0]])
      >>> source, target = tf.constant([1, 2]), tf.constant([0, 0])
      >>> propagate_lightgcn(x, x, source, target, tf.ones(2)).numpy().ravel().tolist()
      [2.0, 2.0, 4.0]
    """
    if normalization == "sym_global" and degrees is None:
        raise ValueError("`normalization='sym_global'` needs `degrees`. Received: degrees=None")
    sizes = tf.shape(sender)[0], tf.shape(receiver)[0]
    relation = _relation(weight, source, target, sizes, normalization, degrees)
    return _propagate(sender, receiver, relation, layer_weights)


def _relation(
    weight: tf.Tensor,
    source: tf.Tensor,
    target: tf.Tensor,
    sizes: tuple[tf.Tensor, ...],
    normalization: str,
    degrees: tuple[tf.Tensor, ...] | None,
) -> Relation:
    weight = tf.cast(weight, tf.float32)
    in_degree = tf.math.unsorted_segment_sum(weight, target, sizes[1])
    if normalization == "row":
        norm = tf.gather(in_degree, target)
    else:
        if degrees is None:
            degrees = tf.math.unsorted_segment_sum(weight, source, sizes[0]), in_degree
        # Two roots: the product of two large degrees would lose precision, or overflow.
        roots = [tf.sqrt(tf.cast(degree, tf.float32)) for degree in degrees]
        norm = tf.gather(roots[0], source) * tf.gather(roots[1], target)
    return Relation(source, target, tf.math.divide_no_nan(weight, norm), in_degree > 0)


def _propagate(
    sender: tf.Tensor, receiver: tf.Tensor, relation: Relation, layer_weights: Sequence[float]
) -> tf.Tensor:
    count = tf.shape(receiver)[0]
    messages = aggregate(sender, relation.source, relation.target, relation.coefficient, count)
    return _combined(receiver, messages, relation.has_neighbours, layer_weights)


def _combined(
    receiver: tf.Tensor, messages: tf.Tensor, has_neighbours: tf.Tensor, layer_weights: Sequence[float]
) -> tf.Tensor:
    # Coefficients of one column, in place of a choice between two sums of `dim` columns.
    reached = tf.cast(has_neighbours, receiver.dtype)[:, tf.newaxis]
    own, others = map(tf.stop_gradient, _coefficients(reached, layer_weights))
    return own * receiver + others * messages


def _coefficients(reached: tf.Tensor, layer_weights: Sequence[float]) -> tuple[tf.Tensor, tf.Tensor]:
    a_0, a_1 = (tf.cast(weight, reached.dtype) for weight in layer_weights)
    return 1 + (a_0 - 1) * reached, a_1 * reached


def aggregate(
    values: tf.Tensor, source: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, num_targets: tf.Tensor
) -> tf.Tensor:
    """``out[t] = sum over edges (s, t) of weight * values[s]``: a sparse-dense product, whose gradient is its
    transpose.

    Both are products of compressed rows: every row of the result is summed by one thread, in the order of the edges, several
    times as fast as `tf.sparse.sparse_dense_matmul`. Edges that are sorted by target, as those of batch graphs,
    spare a sort. The weights have no gradient.

    The product is computed in float32 whatever the dtype of `values`: that of [num_sources, d] comes back as
      [num_targets, d].

    Example:
      >>> aggregate(tf.constant([[1.0], [2.0]]), [0, 1], [0, 0], [1.0, 0.5], 2).numpy().ravel().tolist()
      [2.0, 0.0]
    """
    indices = tf.stack([tf.cast(target, tf.int64), tf.cast(source, tf.int64)], axis=1)
    shape = tf.stack([tf.cast(num_targets, tf.int64), tf.shape(values, out_type=tf.int64)[0]])
    indices, weight = _sorted_by_target(indices, tf.cast(weight, tf.float32))
    return tf.cast(_product(tf.cast(values, tf.float32), indices, weight, shape), values.dtype)


@tf.custom_gradient
def _product(
    dense: tf.Tensor, indices: tf.Tensor, weight: tf.Tensor, shape: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None, None, None]]]:
    """The matrix of sorted (indices, weight) times `dense`."""

    def matrix() -> tf.Tensor:
        # The kernel divides by the number of rows: an empty matrix gets one.
        return tf.raw_ops.SparseTensorToCSRSparseMatrix(
            indices=indices, values=weight, dense_shape=tf.maximum(shape, 1)
        )

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        # To make the matrix again and to transpose it costs a fraction of the product; the kernel's own `transpose_a`
        # is three times as slow, and a captured matrix cannot be saved with a model.
        transposed = tf.raw_ops.SparseMatrixTranspose(input=matrix(), type=tf.float32)
        return _rows_of_product(transposed, upstream, shape[1]), None, None, None

    return _rows_of_product(matrix(), dense, shape[0]), gradient


def _rows_of_product(matrix: tf.Tensor, dense: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The first `count` rows: all but the one that an empty matrix has been given."""
    lacking = tf.maximum(1 - tf.shape(dense)[0], 0)
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=tf.pad(dense, [[0, lacking], [0, 0]]))[:count]


def _sorted_by_target(indices: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compressed rows need their edges row by row."""
    target = indices[:, 0]

    def sort() -> tuple[tf.Tensor, tf.Tensor]:
        order = tf.argsort(target, stable=True)
        return tf.gather(indices, order), tf.gather(weight, order)

    return tf.cond(tf.reduce_all(target[1:] >= target[:-1]), lambda: (indices, weight), sort)
