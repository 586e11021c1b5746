import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.layers.graphs import graph_tensor, random_edges, scipy_matrix
from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import LightGCN, LightGCNConv

DIM = 5
SIZES = {"user": 25, "item": 40, "tag": 6}
# relation -> (senders, receivers, edges, receivers without any)
RELATIONS = {
    "clicks": ("user", "item", 120, 6),
    "similar": ("item", "item", 150, 9),
    "clicked_by": ("item", "user", 90, 4),
    "tagged": ("tag", "item", 60, 12),
}


def heterogeneous(seed=0):
    """(GraphTensor, states by node set, edges by relation) of users, items and tags."""
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=(size, DIM)).astype("f4") for name, size in SIZES.items()}
    edges = {
        name: random_edges(rng, SIZES[senders], SIZES[receivers], number, isolated)
        for name, (senders, receivers, number, isolated) in RELATIONS.items()
    }
    graph = graph_tensor(
        {name: {tfgnn.HIDDEN_STATE: value, "other": np.arange(len(value))} for name, value in x.items()},
        {name: (*RELATIONS[name][:2], *edges[name]) for name in RELATIONS},
    )
    return graph, x, edges


def reference(x, edges, shares, layer_weights, normalization="row", names=tuple(RELATIONS)):
    """Z by node set, from scipy products in float64."""
    state = {name: value.astype("f8") for name, value in x.items()}
    total = {name: layer_weights[0] * value for name, value in state.items()}
    for weight in layer_weights[1:]:
        following = {}
        for node_set, own in state.items():
            sums, present = np.zeros_like(own), np.zeros(len(own))
            for name in names:
                senders, receivers, *_ = RELATIONS[name]
                if receivers == node_set:
                    shape = (len(own), len(state[senders]))
                    matrix, linked = scipy_matrix(edges[name], shape, normalization)
                    sums += shares[name] * (matrix @ state[senders])
                    present += shares[name] * linked
            following[node_set] = np.where(
                present[:, None] > 0, sums / np.maximum(present, 1e-30)[:, None], own
            )
        state = following
        total = {name: total[name] + weight * value for name, value in state.items()}
    return total


def states_of(graph):
    return {name: graph.node_sets[name][tfgnn.HIDDEN_STATE].numpy() for name in SIZES}


@pytest.mark.parametrize("normalization", ["row", "sym_local"])
@pytest.mark.parametrize("hops", [0, 1, 2, 3])
def test_heterogeneous_hops_equal_scipy_products(hops, normalization):
    graph, x, edges = heterogeneous(hops)
    layer = LightGCN(list(RELATIONS), hops, normalization=normalization)
    logits = np.array([0.3, -1.0, 2.0, 0.7], "f4")
    layer.relation_logits.assign(logits)
    e = dict(zip(RELATIONS, np.exp(logits.astype("f8")), strict=True))
    into_item = e["clicks"] + e["similar"] + e["tagged"]
    shares = {name: e[name] / into_item for name in ("clicks", "similar", "tagged")} | {"clicked_by": 1.0}
    for name, share in layer.relation_shares(graph).items():
        assert float(share) == pytest.approx(shares[name], abs=1e-6)
    result = states_of(layer(graph))
    expected = reference(x, edges, shares, [1 / (hops + 1)] * (hops + 1), normalization)
    for name in SIZES:
        np.testing.assert_allclose(result[name], expected[name], atol=1e-6)
    np.testing.assert_allclose(result["tag"], x["tag"], rtol=1e-5)  # nothing ends in a tag


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_homogeneous_hops_equal_powers_of_the_matrix(hops):
    graph, x, edges = heterogeneous(10)
    weights = np.random.default_rng(hops).dirichlet(np.ones(hops + 1))
    layer = LightGCN(["similar"], hops, weights)
    assert not layer.weights
    matrix, linked = scipy_matrix(edges["similar"], (40, 40))
    matrix = matrix.toarray()
    matrix[~linked, ~linked] = np.diag(~linked)[~linked, ~linked]  # a node without neighbours sends to itself
    expected = sum(a * np.linalg.matrix_power(matrix, k) for k, a in enumerate(weights)) @ x["item"]
    result = states_of(layer(graph))
    np.testing.assert_allclose(result["item"], expected, atol=1e-6)
    np.testing.assert_allclose(result["item"][~linked], x["item"][~linked], rtol=1e-5)


def test_one_hop_of_one_relation_is_the_convolution():
    graph, *_ = heterogeneous()
    z = LightGCN(["similar"], layer_weights=(0.3, 0.7))(graph).node_sets["item"][tfgnn.HIDDEN_STATE]
    np.testing.assert_allclose(z, LightGCNConv((0.3, 0.7))(graph, edge_set_name="similar"), atol=1e-6)


def test_degrees_of_the_whole_graph():
    graph, x, edges = heterogeneous()
    degree = np.linspace(1, 9, 40).astype("f4")
    graph = graph.replace_features(
        node_sets={"item": {tfgnn.HIDDEN_STATE: x["item"], "degree_similar": degree}}
    )
    layer = LightGCN(["similar"], 2, normalization="sym_global", degree_feature="degree_{edge_set}")
    matrix, linked = scipy_matrix(edges["similar"], (40, 40), "sym_global", (degree, degree))
    first = np.where(linked[:, None], matrix @ x["item"], x["item"])
    second = np.where(linked[:, None], matrix @ first, x["item"])
    result = layer(graph).node_sets["item"]
    np.testing.assert_allclose(result[tfgnn.HIDDEN_STATE], (x["item"] + first + second) / 3, atol=1e-6)


def test_other_features_and_node_sets_stay():
    graph, *_ = heterogeneous()
    result = LightGCN(["similar"])(graph)
    np.testing.assert_array_equal(result.node_sets["item"]["other"], np.arange(40))
    np.testing.assert_array_equal(
        result.node_sets["user"][tfgnn.HIDDEN_STATE], graph.node_sets["user"][tfgnn.HIDDEN_STATE]
    )


def test_rows_keep_constant_states_constant():
    """Whatever the shares and the missing relations: every row of P sums to 1."""
    graph, x, _ = heterogeneous()
    ones = {name: {tfgnn.HIDDEN_STATE: np.ones_like(value)} for name, value in x.items()}
    layer = LightGCN(list(RELATIONS), 3)
    layer.relation_logits.assign([1.0, -2.0, 0.5, 3.0])
    for value in states_of(layer(graph.replace_features(node_sets=ones))).values():
        np.testing.assert_allclose(value, 1.0, atol=1e-5)


def test_a_padding_component_changes_nothing():
    graph, *_ = heterogeneous()
    constraints = tfgnn.SizeConstraints(
        2, {name: size + 7 for name, size in SIZES.items()}, dict.fromkeys(RELATIONS, 170)
    )
    padded, _ = tfgnn.pad_to_total_sizes(graph, constraints, validate=False)
    layer = LightGCN(list(RELATIONS), 2)
    plain, result = states_of(layer(graph)), states_of(layer(padded))
    for name, size in SIZES.items():
        np.testing.assert_allclose(result[name][:size], plain[name], atol=1e-6)
        assert np.isfinite(result[name]).all()


def test_permuting_nodes_and_edges_permutes_the_output():
    graph, x, edges = heterogeneous()
    rng = np.random.default_rng(5)
    order = {name: rng.permutation(size) for name, size in SIZES.items()}
    rank = {name: np.argsort(value) for name, value in order.items()}
    relations = {}
    for name, (source, target, weight) in edges.items():
        senders, receivers, *_ = RELATIONS[name]
        shuffle = rng.permutation(len(source))
        relations[name] = (
            senders, receivers, rank[senders][source][shuffle], rank[receivers][target][shuffle], weight[shuffle],
        )  # fmt: skip
    nodes = {name: {tfgnn.HIDDEN_STATE: value[order[name]]} for name, value in x.items()}
    layer = LightGCN(list(RELATIONS), 2)
    plain, permuted = states_of(layer(graph)), states_of(layer(graph_tensor(nodes, relations)))
    for name in SIZES:
        np.testing.assert_allclose(permuted[name], plain[name][order[name]], atol=1e-6)


def test_gradients_equal_finite_differences():
    graph, x, _ = heterogeneous()
    layer = LightGCN(list(RELATIONS), 2)
    layer.relation_logits.assign([0.1, 0.4, 0.0, -0.3])
    rng = np.random.default_rng(1)
    upstream = rng.normal(size=(40, DIM)).astype("f4")
    items = tf.Variable(x["item"])

    def objective():
        replaced = graph.replace_features(node_sets={"item": {tfgnn.HIDDEN_STATE: tf.identity(items)}})
        return tf.reduce_sum(layer(replaced).node_sets["item"][tfgnn.HIDDEN_STATE] * upstream)

    with tf.GradientTape() as tape:
        value = objective()
    for variable, gradient in zip(
        (items, layer.relation_logits),
        tape.gradient(value, [items, layer.relation_logits]),
        strict=True,
    ):
        start, direction = variable.numpy(), rng.normal(size=variable.shape).astype("f4")
        ends = []
        for sign in (1, -1):
            variable.assign(start + sign * 0.05 * direction)
            ends.append(float(objective()))
        variable.assign(start)
        slope = float((tf.convert_to_tensor(gradient).numpy() * direction).sum())
        assert slope == pytest.approx((ends[0] - ends[1]) / 0.1, rel=5e-3, abs=1e-3)
    assert tape is not None


def test_layer():
    graph, *_ = heterogeneous()

    def call(layer, graph):
        return layer(graph).node_sets["item"][tfgnn.HIDDEN_STATE]

    check_layer(LightGCN(["clicks", "similar"], 2), call, graph, (40, DIM))
    check_layer(LightGCN(["similar"], 1), call, graph, (40, DIM), trainable=False)


def test_half_precision_states_stay_half():
    graph, x, _ = heterogeneous()
    half = graph.replace_features(
        node_sets={name: {tfgnn.HIDDEN_STATE: value.astype("f2")} for name, value in x.items()}
    )
    layer = LightGCN(list(RELATIONS), 2)
    result, plain = layer(half).node_sets["item"][tfgnn.HIDDEN_STATE], states_of(layer(graph))["item"]
    assert result.dtype == tf.float16
    np.testing.assert_allclose(result.numpy().astype("f4"), plain, atol=5e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"edge_set_names": []}, "edge_set_names"),
        ({"edge_set_names": ["a", "a"]}, "edge_set_names"),
        ({"edge_set_names": ["a"], "hops": 2, "layer_weights": (0.5, 0.5)}, "3 numbers"),
        ({"edge_set_names": ["a"], "layer_weights": (0.5, 0.6)}, "sum to 1"),
        ({"edge_set_names": ["a"], "normalization": "column"}, "normalization"),
        ({"edge_set_names": ["a"], "hops": -1}, "hops"),
    ],
)
def test_wrong_arguments_are_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        LightGCN(**arguments)
