"""One LightGCN hop over the combined edges against two over the given ones."""

import numpy as np
import pytest
import tensorflow_gnn as tfgnn

from tests.layers.graphs import graph_tensor
from tf_e2egrec.graph.swing import SwingEdges
from tf_e2egrec.graph.two_hop import two_hop_edges
from tf_e2egrec.layers import LightGCN, LightGCNConv

NODES, UNLINKED = 40, 5  # of which the last have no neighbours, though some are neighbours


def edges_and_states(seed, *, returns):
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, NODES, 300), rng.integers(0, NODES - UNLINKED, 300)
    if not returns:  # upwards only: no path comes back
        source, target = np.maximum(source, target), np.minimum(source, target)
    target, source = np.unique(np.stack([target, source], 1)[source != target], axis=0).T
    weight = rng.random(len(source)).astype("f4") + 0.1
    order = np.lexsort((source, -weight, target))
    edges = SwingEdges(source[order], target[order], weight[order], None, {}, None)
    return edges, rng.normal(size=(NODES, 6)).astype("f4")


def tensor(edges, states):
    return graph_tensor(
        {"item": {tfgnn.HIDDEN_STATE: states}},
        {"swing": ("item", "item", edges.source, edges.target, edges.weight)},
    )


def both(edges, states, weights):
    """Z by two hops over the edges, Z by one over the combined ones, and these."""
    two = LightGCN(["swing"], hops=2, layer_weights=weights)(tensor(edges, states))
    short = two_hop_edges(edges, NODES, weights[1:])
    one = LightGCNConv((weights[0], 1 - weights[0]))(tensor(short, states), edge_set_name="swing")
    return two.node_sets["item"][tfgnn.HIDDEN_STATE].numpy(), one.numpy(), short


@pytest.mark.parametrize("weights", [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.25, 0.25), (0.5, 0.1, 0.4)])
def test_one_hop_over_the_combined_edges_is_two_hops(weights):
    edges, states = edges_and_states(0, returns=False)
    two, one, _ = both(edges, states, weights)
    np.testing.assert_allclose(one, two, atol=1e-6)
    hop = LightGCNConv((weights[0], 1 - weights[0]))(tensor(edges, states), edge_set_name="swing")
    assert np.abs(hop.numpy() - two).max() > 0.1  # one hop over the given edges is something else


def test_only_the_return_paths_are_missing():
    weights = (0.5, 0.25, 0.25)
    edges, states = edges_and_states(1, returns=True)
    two, one, short = both(edges, states, weights)
    linked = np.isin(np.arange(NODES), short.target)
    returned = np.where(linked, 1 - np.bincount(short.target, short.weight, minlength=NODES), 0)[:, None]
    assert returned.max() > 0.02
    neighbours = (one - weights[0] * states) / (1 - weights[0])
    whole = weights[0] * states + (1 - weights[0]) * (returned * states + (1 - returned) * neighbours)
    np.testing.assert_allclose(whole, two, atol=1e-6)
