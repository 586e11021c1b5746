import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.retrieval.toys import matrix, normalised
from tf_e2egrec.layers import LightGCN as LightGCNLayer
from tf_e2egrec.layers import propagate_lightgcn
from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


def table(nodes, seed=0, dim=5):
    return np.random.default_rng(seed).standard_normal((nodes, dim)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_the_product_and_its_gradient_are_those_of_the_dense_matrix(seed):
    train = matrix(seed)
    graph, dense = UserItemGraph(train), normalised(train)
    x, upstream = table(graph.nodes, seed), table(graph.nodes, seed + 1)
    values = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(graph.propagate(values) * upstream)
    np.testing.assert_allclose(graph.propagate(values), dense @ x, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, values), dense.T @ upstream, atol=1e-6)
    for power, found in enumerate(tf.function(lambda v: graph.powers(v, 3))(values), start=1):
        np.testing.assert_allclose(found, np.linalg.matrix_power(dense, power) @ x, atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "weights"), [(1, None), (2, None), (3, None), (1, (0.2, 0.8)), (3, (0.0, 0.5, 0.1, 0.4))]
)
def test_the_convolution_is_the_ranker_s_layer_on_the_whole_graph(layers, weights):
    train = matrix(5)
    graph, users = UserItemGraph(train), train.shape[0]
    x = table(graph.nodes)
    pairs = train.tocoo()

    def edges(source, target):
        ends = tfgnn.Adjacency.from_indices((source[0], source[1]), (target[0], target[1]))
        return tfgnn.EdgeSet.from_fields(sizes=[len(pairs.row)], adjacency=ends)

    user, item = ("user", pairs.row.astype(np.int32)), ("item", pairs.col.astype(np.int32))
    sampled = tfgnn.GraphTensor.from_pieces(
        node_sets={
            name: tfgnn.NodeSet.from_fields(
                features={tfgnn.HIDDEN_STATE: tf.constant(rows)}, sizes=[len(rows)]
            )
            for name, rows in (("user", x[:users]), ("item", x[users:]))
        },
        edge_sets={"of": edges(user, item), "by": edges(item, user)},
    )
    layer = LightGCNLayer(
        ["of", "by"], hops=layers, layer_weights=weights, normalization="sym_local", weight_feature=None
    )
    expected = layer(sampled)
    found = light_gcn_convolution(graph, tf.constant(x), layers, weights).numpy()
    for rows, name in ((found[:users], "user"), (found[users:], "item")):
        np.testing.assert_allclose(rows, expected.node_sets[name][tfgnn.HIDDEN_STATE], atol=1e-6)


def test_one_layer_is_the_ranker_s_pure_function():
    train = matrix(2)
    graph = UserItemGraph(train)
    x = tf.constant(table(graph.nodes))
    target, source = tf.unstack(graph.matrix.indices, axis=1)
    ones = tf.ones_like(source, tf.float32)
    expected = propagate_lightgcn(x, x, source, target, ones, (0.5, 0.5), "sym_local")
    np.testing.assert_allclose(light_gcn_convolution(graph, x, 1), expected, atol=1e-6)


def test_nodes_without_neighbours_keep_their_embeddings():
    train = matrix(0)
    graph = UserItemGraph(train)
    x = table(graph.nodes)
    found = light_gcn_convolution(graph, tf.constant(x), 2).numpy()
    for node in (train.shape[0] - 1, graph.nodes - 1):
        np.testing.assert_array_equal(found[node], x[node])
