import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn
from tensorflow_gnn.models import graph_sage

from tests.layers.graphs import graph_tensor, random_edges, scipy_matrix
from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import GraphSAGEConv

SENDERS, RECEIVERS = 30, 20


def bipartite(equal_weights=False):
    rng = np.random.default_rng(0)
    source, target, weight = random_edges(rng, SENDERS, RECEIVERS, 80, isolated=3)
    weight = np.ones_like(weight) if equal_weights else weight
    x = {"user": rng.normal(size=(SENDERS, 4)), "item": rng.normal(size=(RECEIVERS, 6))}
    x = {name: value.astype("f4") for name, value in x.items()}
    graph = graph_tensor(
        {name: {tfgnn.HIDDEN_STATE: value} for name, value in x.items()},
        {"clicks": ("user", "item", source, target, weight)},
    )
    return graph, x, (source, target, weight)


def call(layer, graph):
    return layer(graph, edge_set_name="clicks")


def test_layer():
    check_layer(GraphSAGEConv(5), call, bipartite()[0], (RECEIVERS, 5))
    check_layer(
        GraphSAGEConv(5, activation="linear", l2_normalize=True), call, bipartite()[0], (RECEIVERS, 5)
    )


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_weighted_mean_equals_numpy(activation):
    graph, x, edges = bipartite()
    layer = GraphSAGEConv(5, activation)
    result = call(layer, graph).numpy()
    layer.self_transform.bias.assign(np.arange(5))
    result = call(layer, graph).numpy()
    matrix, _ = scipy_matrix(edges, (RECEIVERS, SENDERS))
    kernels = layer.self_transform.kernel.numpy(), layer.neighbour_transform.kernel.numpy()
    expected = x["item"] @ kernels[0] + (matrix @ x["user"]) @ kernels[1] + np.arange(5)
    expected = np.maximum(expected, 0) if activation == "relu" else expected
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("l2_normalize", [True, False])
def test_with_equal_weights_it_is_the_layer_of_tf_gnn(l2_normalize):
    graph, *_ = bipartite(equal_weights=True)
    ours = GraphSAGEConv(5, l2_normalize=l2_normalize)
    call(ours, graph)
    ours.self_transform.bias.assign(np.linspace(-1, 1, 5))
    update = tfgnn.keras.layers.NodeSetUpdate(
        {"clicks": graph_sage.GraphSAGEAggregatorConv(receiver_tag=tfgnn.TARGET, units=5)},
        graph_sage.GraphSAGENextState(units=5, l2_normalize=l2_normalize),
    )
    theirs = tfgnn.keras.layers.GraphUpdate(node_sets={"item": update})
    theirs(graph)
    kernels = {
        (6, 5): ours.self_transform.kernel,
        (4, 5): ours.neighbour_transform.kernel,
        (5,): ours.self_transform.bias,
    }
    for weight in theirs.weights:
        weight.assign(kernels[tuple(weight.shape)])
    np.testing.assert_allclose(
        call(ours, graph), theirs(graph).node_sets["item"][tfgnn.HIDDEN_STATE], atol=1e-5
    )


def test_a_receiver_without_neighbours_sees_itself_alone():
    graph, x, _ = bipartite()
    layer = GraphSAGEConv(5)
    alone = tf.nn.relu(x["item"][-3:] @ call_and_kernel(layer, graph)).numpy()
    np.testing.assert_allclose(call(layer, graph)[-3:], alone, atol=1e-6)


def call_and_kernel(layer, graph):
    call(layer, graph)
    return layer.self_transform.kernel


def test_padding_and_edges_of_weight_zero_change_nothing():
    graph, x, (source, target, weight) = bipartite()
    layer = GraphSAGEConv(5)
    plain = call(layer, graph).numpy()
    padded, _ = tfgnn.pad_to_total_sizes(
        graph, tfgnn.SizeConstraints(2, {"user": 40, "item": 30}, {"clicks": 120}), validate=False
    )
    np.testing.assert_allclose(call(layer, padded)[:RECEIVERS], plain, atol=1e-6)
    more = np.r_[source, 0], np.r_[target, RECEIVERS - 1], np.r_[weight, np.float32(0)]
    nodes = {name: {tfgnn.HIDDEN_STATE: value} for name, value in x.items()}
    again = graph_tensor(nodes, {"clicks": ("user", "item", *more)})
    np.testing.assert_allclose(call(layer, again), plain, atol=1e-6)


def test_it_fits_tf_gnns_graph_update():
    graph, *_ = bipartite()
    layer = GraphSAGEConv(5)
    update = tfgnn.keras.layers.NodeSetUpdate({"clicks": layer}, tfgnn.keras.layers.SingleInputNextState())
    result = tfgnn.keras.layers.GraphUpdate(node_sets={"item": update})(graph)
    np.testing.assert_array_equal(result.node_sets["item"][tfgnn.HIDDEN_STATE], call(layer, graph))


def test_from_mean_is_the_layer_on_one_edge_from_the_mean():
    rng = np.random.default_rng(0)
    x, mean = tf.constant(rng.random((5, 3)), tf.float32), tf.constant(rng.random((5, 3)), tf.float32)
    layer = GraphSAGEConv(4, l2_normalize=True)
    expected = layer.propagate(mean, x, tf.range(5), tf.range(5), tf.ones(5))
    np.testing.assert_allclose(layer.from_mean(x, mean), expected, rtol=1e-5)
