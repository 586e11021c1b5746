import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.layers.graphs import graph_tensor, random_edges, scipy_matrix
from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import LightGCNConv, propagate_lightgcn
from tf_e2egrec.layers.light_gcn_conv import aggregate

RNG = np.random.default_rng(0)


def random_graph(nodes=40, edges=150, dim=6, isolated=5):
    return (RNG.normal(size=(nodes, dim)).astype("f4"), *random_edges(RNG, nodes, nodes, edges, isolated))


def as_graph_tensor(x, source, target, weight, **features):
    return graph_tensor(
        {"item": {tfgnn.HIDDEN_STATE: x, **features}},
        {"swing": ("item", "item", source, target, weight)},
    )


def scipy_reference(x, source, target, weight, a=(0.5, 0.5), normalization="row", degrees=None):
    matrix, linked = scipy_matrix((source, target, weight), (len(x), len(x)), normalization, degrees)
    return np.where(linked[:, None], a[0] * x + a[1] * (matrix @ x), x)


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


def test_degrees_of_the_whole_graph_make_a_subgraph_agree_with_it():
    """`sym_global` on the in-edges of some nodes gives what the whole graph gives them; `sym_local` does not."""
    x, source, target, weight = random_graph()
    out_degree, in_degree = (np.bincount(rows, weight, len(x)).astype("f4") for rows in (source, target))
    degree = (in_degree + out_degree).astype("f4")
    expected = scipy_reference(
        x, source, target, weight, (0.3, 0.7), "sym_global", (degree.astype("f8"), degree.astype("f8"))
    )
    part = target < 10
    edges = source[part], target[part], weight[part]
    graph = as_graph_tensor(x, *edges, degree=degree)
    layer = LightGCNConv((0.3, 0.7), "sym_global")
    result = layer(graph, edge_set_name="swing").numpy()
    np.testing.assert_allclose(result[:10], expected[:10], atol=1e-6)
    local = LightGCNConv((0.3, 0.7), "sym_local")(graph, edge_set_name="swing").numpy()
    assert np.abs(local[:10] - expected[:10]).max() > 1e-2
    plain = propagate_lightgcn(x, x, *edges, (0.3, 0.7), "sym_global", (degree, degree)).numpy()
    np.testing.assert_array_equal(plain, result)


def test_the_degree_feature_may_be_named_after_the_edge_set():
    x, source, target, weight = random_graph()
    degree = np.full(len(x), 4, "f4")
    named, plain = (
        LightGCNConv(normalization="sym_global", degree_feature=name)(
            as_graph_tensor(x, source, target, weight, **{feature: degree}), edge_set_name="swing"
        )
        for name, feature in (("degree_{edge_set}", "degree_swing"), ("degree", "degree"))
    )
    np.testing.assert_array_equal(named, plain)


def test_missing_degrees_are_named():
    graph = as_graph_tensor(*random_graph())
    with pytest.raises(ValueError, match="feature 'degree' of node set 'item'"):
        LightGCNConv(normalization="sym_global")(graph, edge_set_name="swing")
    x, source, target, weight = random_graph()
    with pytest.raises(ValueError, match="needs `degrees`"):
        propagate_lightgcn(x, x, source, target, weight, normalization="sym_global")


def test_layer():
    graph = as_graph_tensor(*random_graph())
    check_layer(
        LightGCNConv(),
        lambda layer, graph: layer(graph, edge_set_name="swing"),
        graph,
        (40, 6),
        trainable=False,
    )


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


def test_a_padding_component_changes_nothing():
    graph = as_graph_tensor(*random_graph())
    padded, mask = tfgnn.pad_to_total_sizes(
        graph, tfgnn.SizeConstraints(2, {"item": 50}, {"swing": 200}), validate=False
    )
    assert mask.numpy().tolist() == [True, False]
    for normalization in ("row", "sym_local"):
        layer = LightGCNConv(normalization=normalization)
        plain, result = (layer(one, edge_set_name="swing").numpy() for one in (graph, padded))
        np.testing.assert_allclose(result[:40], plain, atol=1e-6)
        assert np.isfinite(result).all()


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


def test_from_mean_is_the_layer_on_one_edge_from_the_mean():
    rng = np.random.default_rng(0)
    x, mean = tf.constant(rng.random((5, 3)), tf.float32), tf.constant(rng.random((5, 3)), tf.float32)
    has = tf.constant([True, False, True, True, False])
    layer = LightGCNConv((0.3, 0.7))
    expected = layer.propagate(mean, x, tf.range(5), tf.range(5), tf.cast(has, tf.float32))
    np.testing.assert_allclose(layer.from_mean(x, mean, has), expected, rtol=1e-6)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_the_product_and_its_gradient_equal_scipy_s_in_any_order_of_the_edges(order):
    rng = np.random.default_rng(3)
    source, target = rng.integers(0, 30, 200), np.sort(rng.integers(0, 12, 200))
    if order == "shuffled":
        target = rng.permutation(target)
    weight, values = rng.random(200).astype("f4"), rng.normal(size=(30, 5)).astype("f4")
    upstream = rng.normal(size=(12, 5)).astype("f4")
    matrix = sp.coo_matrix((weight, (target, source)), shape=(12, 30)).tocsr()
    variable = tf.Variable(values)
    with tf.GradientTape() as tape:
        found = aggregate(variable, source, target, weight, 12)
        loss = tf.reduce_sum(found * upstream)
    np.testing.assert_allclose(found, matrix @ values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, variable), matrix.T @ upstream, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("senders", [0, 1, 4])
@pytest.mark.parametrize("receivers", [0, 1, 3])
def test_without_edges_the_product_is_zero(senders, receivers):
    """The kernel would end the process where a matrix has no rows."""

    @tf.function
    def product_and_gradient(values, count):
        none = tf.zeros([0], tf.int32)
        with tf.GradientTape() as tape:
            tape.watch(values)
            found = aggregate(values, none, none, tf.zeros([0]), count)
        return found, tape.gradient(found, values)

    found, gradient = product_and_gradient(tf.ones((senders, 2)), tf.constant(receivers))
    np.testing.assert_array_equal(found, np.zeros((receivers, 2)))
    np.testing.assert_array_equal(gradient, np.zeros((senders, 2)))


def test_projecting_the_sums_equals_projecting_the_senders():
    """Of receivers with neighbours, without edges, and with edges of weight 0 alone."""
    rng = np.random.default_rng(4)
    raw, x = rng.normal(size=(6, 5)).astype("f4"), rng.normal(size=(4, 3)).astype("f4")
    kernel = rng.normal(size=(5, 3)).astype("f4")
    graph = tfgnn.GraphTensor.from_pieces(
        node_sets={
            name: tfgnn.NodeSet.from_fields(features={tfgnn.HIDDEN_STATE: state}, sizes=[len(state)])
            for name, state in (("item", raw), ("seed", x))
        },
        edge_sets={
            "swing": tfgnn.EdgeSet.from_fields(
                features={"propagation_weight": tf.constant([1.0, 3.0, 0.0, 2.0])},
                sizes=[4],
                adjacency=tfgnn.Adjacency.from_indices(("item", [5, 0, 2, 2]), ("seed", [0, 0, 1, 3])),
            )
        },
    )
    found = LightGCNConv().projected(graph, "swing", lambda sums: sums @ kernel)
    mean = {0: (raw[5] + 3 * raw[0]) / 4, 3: raw[2]}
    expected = [(x[i] + mean[i] @ kernel) / 2 if i in mean else x[i] for i in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_module_with_the_product_can_be_saved(tmp_path):
    """A saved model traces gradients, too, which may not hold what cannot be written."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32)])
        def __call__(self, values, source):
            return aggregate(values, source, tf.zeros_like(source), tf.ones_like(source, tf.float32), 1)

    tf.saved_model.save(Module(), tmp_path)
    again = tf.saved_model.load(tmp_path)
    values = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = again(values, tf.constant([0, 2]))
    np.testing.assert_array_equal(found, [[6.0, 8.0]])
    np.testing.assert_array_equal(tape.gradient(found, values), [[1, 1], [0, 0], [1, 1]])
