import dataclasses

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.sampling import sample_neighbours
from tf_e2egrec.graph.swing import SwingEdges
from tf_e2egrec.graph.two_hop import two_hop_edges

ALL = 10**6
KEYS = np.array([3, 4, 9, 20, 21, 50, 2**59 + 1, 2**59 + 7])


def graph(linked, keys=KEYS):
    """Edges of {(target, source): weight} between numbers of keys, in the order of the edge files."""
    pairs = np.array(sorted(linked), np.int64).reshape(-1, 2)
    weight = np.array([linked[pair] for pair in sorted(linked)], np.float32)
    target, source = keys[pairs.T]
    order = np.lexsort((source, -weight, target))
    return SwingEdges(source[order], target[order], weight[order], None, {}, 5)


def random_graph(nodes, edges, seed):
    rng = np.random.default_rng(seed)
    ends = (rng.random((edges, 2)) ** 2 * nodes).astype(int)  # some nodes are much more popular than others
    linked = {(t, s): w for (t, s), w in zip(ends.tolist(), rng.random(edges) + 0.01, strict=True) if t != s}
    return graph(linked, np.arange(nodes) * 7 + 2)


def combined(linked, hop_weights):
    """C of the definition, dense: rows of zeros for nodes that have no neighbours."""
    p = np.zeros((len(KEYS), len(KEYS)))
    for (target, source), weight in linked.items():
        p[target, source] = np.float32(weight)
    has_neighbours = p.sum(axis=1) > 0
    p[has_neighbours] /= p[has_neighbours].sum(axis=1, keepdims=True)
    p += np.diag(~has_neighbours)  # these keep their own state
    one, two = hop_weights
    return (one * p + two * p @ p) / (one + two), has_neighbours


def dense(edges, keys=KEYS):
    found = np.zeros((len(keys), len(keys)))
    found[np.searchsorted(keys, edges.target), np.searchsorted(keys, edges.source)] = edges.weight
    return found


pairs = st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda p: p[0] != p[1])
graphs = st.dictionaries(pairs, st.sampled_from([0.25, 1, 2, 3, 1000]), max_size=40)
weights = st.sampled_from([(0.5, 0.5), (0.2, 0.3), (1.0, 3.0), (1.0, 0.0), (0.0, 2.0)])


@settings(deadline=None, max_examples=200)
@given(linked=graphs, hop_weights=weights)
def test_the_operator_is_that_of_dense_matrices(linked, hop_weights):
    expected, has_neighbours = combined(linked, hop_weights)
    off_diagonal = expected - np.diag(np.diag(expected))
    off_diagonal[~has_neighbours] = 0
    edges = two_hop_edges(graph(linked), ALL, hop_weights)
    np.testing.assert_allclose(dense(edges), off_diagonal, rtol=1e-6)
    assert len(edges) == np.count_nonzero(off_diagonal)
    # The return paths are what a row lacks.
    sums = np.bincount(np.searchsorted(KEYS, edges.target), edges.weight, minlength=len(KEYS))
    np.testing.assert_allclose(sums[has_neighbours], 1 - np.diag(expected)[has_neighbours], atol=1e-6)


@settings(deadline=None, max_examples=100)
@given(linked=graphs, top=st.integers(1, 9))
def test_the_heaviest_of_every_row_are_kept_in_order(linked, top):
    whole, cut = two_hop_edges(graph(linked), ALL), two_hop_edges(graph(linked), top)
    order = np.lexsort((whole.source, -whole.weight, whole.target))
    np.testing.assert_array_equal(order, np.arange(len(whole)))
    rank = np.arange(len(whole)) - np.searchsorted(whole.target, whole.target)
    for name in ("source", "target", "weight"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name)[rank < top])
    assert cut.weight.dtype == np.float32
    assert cut.counters == {"edges": len(cut), "items": len(set(cut.target.tolist()))}
    assert cut.newest_event_time == 5


def test_a_larger_graph_against_scipy():
    before, top = random_graph(nodes=300, edges=6000, seed=1), 20
    keys = np.arange(300) * 7 + 2
    ends = np.searchsorted(keys, before.target), np.searchsorted(keys, before.source)
    p = scipy.sparse.csr_array((before.weight.astype("f8"), ends), shape=(300, 300))
    total = p.sum(axis=1)
    p = scipy.sparse.diags_array(1 / np.where(total > 0, total, 1)) @ p
    p += scipy.sparse.diags_array((total == 0).astype("f8"))
    expected = ((p + p @ p) / 2).toarray()
    expected[total == 0] = 0
    np.fill_diagonal(expected, 0)
    found = dense(two_hop_edges(before, top), keys)
    heaviest = -np.sort(-expected, axis=1)[:, :top]
    np.testing.assert_allclose(-np.sort(-found, axis=1)[:, :top], heaviest, rtol=1e-6)
    np.testing.assert_allclose(found[found > 0], expected[found > 0], rtol=1e-6)
    assert (np.count_nonzero(found, axis=1) <= top).all()
    assert (dense(before, keys)[found > 0] == 0).mean() > 0.3  # neighbours of neighbours


def test_ties_go_to_the_smaller_key():
    complete = graph({(t, s): 1.0 for t in range(8) for s in range(8) if t != s})
    edges = two_hop_edges(complete, 3)
    for row, item in enumerate(KEYS):
        np.testing.assert_array_equal(edges.source[edges.target == item], np.delete(KEYS, row)[:3])


def test_a_neighbour_without_neighbours_keeps_its_state_in_the_second_hop():
    edges = two_hop_edges(graph({(0, 1): 1.0, (0, 2): 3.0}), ALL)
    assert (edges.source.tolist(), edges.weight.tolist()) == ([9, 4], [0.75, 0.25])


def test_entries_that_vanish_as_float32_are_no_edges():
    edges = two_hop_edges(graph({(0, 1): 1e38, (0, 2): 1e-38, (1, 3): 1.0}), ALL)
    assert set(zip(edges.target.tolist(), edges.source.tolist(), strict=True)) == {(3, 4), (3, 20), (4, 20)}


def test_normalised_weights_are_divided_by_the_largest_of_the_row():
    before = random_graph(nodes=40, edges=300, seed=2)
    assert two_hop_edges(before, 5).normalised is None
    after = two_hop_edges(dataclasses.replace(before, normalised=before.weight), 5)
    largest = {item: after.weight[after.target == item].max() for item in set(after.target.tolist())}
    expected = [w / largest[t] for t, w in zip(after.target.tolist(), after.weight, strict=True)]
    np.testing.assert_array_equal(after.normalised, expected)


def test_with_beta_1_the_samplers_give_the_operator_but_its_diagonal():
    edges = two_hop_edges(random_graph(nodes=40, edges=300, seed=3), ALL)
    table = NeighbourTable.from_edges(edges.source, edges.target, edges.weight)
    sample = sample_neighbours(table, table.items, ALL, beta=1.0, deterministic=True)
    np.testing.assert_array_equal(sample.sources, edges.source)
    row = np.searchsorted(table.items, edges.target)
    shares = edges.weight / np.bincount(row, edges.weight)[row]
    np.testing.assert_allclose(sample.propagation_weights, shares, rtol=1e-5)


@pytest.mark.parametrize("hop_weights", [(-0.1, 1.1), (0.0, 0.0), (np.nan, 1.0), (np.inf, 1.0)])
def test_wrong_weights_are_refused(hop_weights):
    with pytest.raises(E2EGRecError, match="must not be negative, nor both 0"):
        two_hop_edges(graph({(0, 1): 1.0}), 3, hop_weights)
