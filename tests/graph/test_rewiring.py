import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.ids import KEY_BITS
from tf_e2egrec.graph.rewiring import rewired
from tf_e2egrec.graph.swing import SwingEdges


def graph(pairs, seed=0):
    """Edges of distinct (target, source) pairs with few distinct weights, in the order of the edge files."""
    pairs = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    target, source = pairs.T
    weight = np.random.default_rng(seed).integers(1, 4, len(pairs)).astype(np.float32)
    order = np.lexsort((source, -weight, target))
    return SwingEdges(source[order], target[order], weight[order], None, {"edges": len(pairs)}, 5)


def random_graph(nodes, edges, seed):
    rng = np.random.default_rng(seed)
    heavy = (rng.random((edges, 2)) ** 2 * nodes).astype(int)  # some nodes are much more popular than others
    return graph({(t, s) for t, s in heavy.tolist() if t != s}, seed)


pairs = st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda p: p[0] != p[1]))


@settings(deadline=None, max_examples=200)
@given(pairs=pairs, seed=st.integers(-5, 5), snapshot=st.integers(0, 3))
def test_degrees_and_weights_stay_and_the_graph_stays_simple(pairs, seed, snapshot):
    before = graph(pairs)
    after = rewired(before, seed, snapshot)
    np.testing.assert_array_equal(after.target, before.target)
    np.testing.assert_array_equal(after.weight, before.weight)
    np.testing.assert_array_equal(np.sort(after.source), np.sort(before.source))
    assert (after.source != after.target).all()
    links = list(zip(after.target.tolist(), after.source.tolist(), strict=True))
    assert len(set(links)) == len(links)
    assert after.counters["edges_in_common"] == len(set(links) & set(pairs))
    order = np.lexsort((after.source, -after.weight, after.target))
    np.testing.assert_array_equal(order, np.arange(len(after)))
    assert after.newest_event_time == before.newest_event_time


def test_little_is_left_of_the_given_graph():
    before = random_graph(nodes=400, edges=8000, seed=1)
    after = rewired(before, seed=0, snapshot=0)
    # What a graph of these degrees shares with another one by chance, about the sum of the squared probabilities.
    out, into = np.bincount(before.source, minlength=400), np.bincount(before.target, minlength=400)
    expected = np.minimum(np.outer(into, out) / len(before), 1.0)
    by_chance = (expected**2).sum()
    assert after.counters["edges_in_common"] == pytest.approx(by_chance, rel=0.25)
    assert after.counters["edges_in_common"] < 0.5 * len(before)


def test_no_slot_prefers_a_source():
    """Over many seeds, every admissible neighbour of a row of one turns up equally often: chi-square at 0.1 %."""
    cycle = graph({(i, (i + 1) % 8) for i in range(8)})
    drawn = np.bincount([int(rewired(cycle, seed, 0).source[0]) for seed in range(1400)], minlength=8)
    assert drawn[0] == 0
    expected = 1400 / 7
    assert ((drawn[1:] - expected) ** 2 / expected).sum() < 22.5


def test_seed_and_snapshot_decide_and_nothing_else():
    before = random_graph(nodes=60, edges=500, seed=2)
    again = dataclasses.replace(before, counters={})
    np.testing.assert_array_equal(rewired(before, 1, 2).source, rewired(again, 1, 2).source)
    for other in ((2, 2), (1, 3)):
        assert (rewired(before, 1, 2).source != rewired(before, *other).source).any()


def test_neighbours_stay_in_their_domain():
    base = random_graph(nodes=60, edges=700, seed=3)
    lift = np.arange(60) % 2 << KEY_BITS
    before = graph({(t | lift[t], s | lift[s]) for t, s in zip(base.target, base.source, strict=True)})
    after = rewired(before, 0, 0)
    for domain in (0, 1):
        for edges in (before, after):
            in_domain = (edges.source >> KEY_BITS) == domain
            counts = np.unique(edges.target[in_domain], return_counts=True)
            if edges is before:
                expected = counts
        np.testing.assert_array_equal(counts, expected)
    assert (after.source != before.source).any()


def test_a_complete_graph_has_nothing_to_swap():
    before = graph({(t, s) for t in range(5) for s in range(5) if t != s})
    after = rewired(before, 0, 0)
    assert after.counters["edges_in_common"] == len(before) == 20
