import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import LightGCNConv, propagate_lightgcn

RNG = np.random.default_rng(0)


def random_graph(nodes=40, edges=150, dim=6, isolated=5):
    source = RNG.integers(0, nodes, edges)
    target = RNG.integers(0, nodes - isolated, edges)  # the last nodes receive nothing
    pairs = np.unique(np.stack([source, target], 1), axis=0)
    return (
        RNG.normal(size=(nodes, dim)).astype("f4"),
        pairs[:, 0],
        pairs[:, 1],
        RNG.random(len(pairs)).astype("f4") + 0.1,
    )


def as_graph_tensor(x, source, target, weight):
    return tfgnn.GraphTensor.from_pieces(
        node_sets={"item": tfgnn.NodeSet.from_fields(features={tfgnn.HIDDEN_STATE: x}, sizes=[len(x)])},
        edge_sets={
            "swing": tfgnn.EdgeSet.from_fields(
                features={"propagation_weight": weight},
                sizes=[len(source)],
                adjacency=tfgnn.Adjacency.from_indices(
                    ("item", source.astype("i4")), ("item", target.astype("i4"))
                ),
            )
        },
    )


def scipy_reference(x, source, target, weight, a=(0.5, 0.5), normalization="row"):
    matrix = sp.csr_matrix((weight.astype("f8"), (target, source)), shape=(len(x), len(x)))
    in_degree = np.asarray(matrix.sum(1)).ravel()
    out_degree = np.asarray(matrix.sum(0)).ravel()
    inverse = lambda d, p: np.where(d > 0, np.maximum(d, 1e-30) ** -p, 0.0)  # noqa: E731
    if normalization == "row":
        matrix = sp.diags(inverse(in_degree, 1)) @ matrix
    else:
        matrix = sp.diags(inverse(in_degree, 0.5)) @ matrix @ sp.diags(inverse(out_degree, 0.5))
    z = a[0] * x + a[1] * (matrix @ x)
    z[in_degree == 0] = x[in_degree == 0]
    return z


@pytest.mark.parametrize("normalization", ["row", "sym_local"])
def test_equals_a_scipy_product_on_the_whole_graph(normalization):
    x, source, target, weight = random_graph()
    layer = LightGCNConv((0.3, 0.7), normalization)
    update = tfgnn.keras.layers.NodeSetUpdate({"swing": layer}, tfgnn.keras.layers.SingleInputNextState())
    result = tfgnn.keras.layers.GraphUpdate(node_sets={"item": update})(
        as_graph_tensor(x, source, target, weight)
    )
    expected = scipy_reference(x, source, target, weight, (0.3, 0.7), normalization)
    np.testing.assert_allclose(result.node_sets["item"][tfgnn.HIDDEN_STATE], expected, atol=1e-6)


def test_layer():
    graph = as_graph_tensor(*random_graph())
    check_layer(LightGCNConv(), lambda layer: layer(graph, edge_set_name="swing"), (40, 6), trainable=False)


def test_permuting_nodes_and_edges_permutes_the_output():
    x, source, target, weight = random_graph()
    nodes, edges = RNG.permutation(len(x)), RNG.permutation(len(source))
    rank = np.argsort(nodes)
    z = propagate_lightgcn(x, x, source, target, weight).numpy()
    permuted = propagate_lightgcn(
        x[nodes], x[nodes], rank[source][edges], rank[target][edges], weight[edges]
    ).numpy()
    np.testing.assert_allclose(permuted, z[nodes], atol=1e-6)


def test_padding_changes_nothing():
    x, source, target, weight = random_graph()
    z = propagate_lightgcn(x, x, source, target, weight).numpy()
    padded = np.r_[x, np.full((3, x.shape[1]), 7, "f4")]
    edges = np.full(4, len(x))
    result = propagate_lightgcn(
        padded, padded, np.r_[source, edges], np.r_[target, edges], np.r_[weight, np.zeros(4, "f4")]
    ).numpy()
    np.testing.assert_allclose(result[: len(x)], z, atol=1e-6)
    np.testing.assert_allclose(result[len(x) :], 7)


def test_isolated_nodes_keep_their_features():
    x, source, target, weight = random_graph(isolated=5)
    z = propagate_lightgcn(x, x, source, target, weight).numpy()
    np.testing.assert_array_equal(z[-5:], x[-5:])


def test_gradient_is_the_transposed_product():
    x, source, target, weight = random_graph()
    upstream = RNG.normal(size=x.shape).astype("f4")
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(propagate_lightgcn(variable, variable, source, target, weight) * upstream)
    gradient = tf.convert_to_tensor(tape.gradient(loss, variable)).numpy()
    columns = np.stack([scipy_reference(np.eye(len(x)), source, target, weight)[:, i] for i in range(len(x))])
    np.testing.assert_allclose(gradient, columns @ upstream, atol=1e-5)


def test_weights_must_sum_to_one():
    with pytest.raises(ValueError, match="sum to 1"):
        LightGCNConv((1.0, 1.0))
