import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.graph.edge_table import EdgeTable
from tf_e2egrec.graph.explicit_edges import explicit_edges, most_recent

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(10, 13), st.integers(0, 20)), max_size=25)


def columns(rows):
    return tuple(np.array([row[i] for row in rows], np.int64) for i in range(3))


def test_weight_halves_with_every_half_life():
    user, item, time = columns([(1, 5, 100), (1, 5, 80), (1, 6, 60), (2, 5, 99)])
    edges = explicit_edges(user, item, time, valid_from=100, half_life=20)
    assert edges.source.tolist() == [1, 1, 2]
    assert edges.target.tolist() == [5, 6, 5]
    assert edges.features["time"].tolist() == [100, 60, 99]
    np.testing.assert_allclose(edges.features["weight"], [1 + 0.5, 0.25, 0.5 ** (1 / 20)], rtol=1e-6)


def test_a_faded_edge_stays_an_edge():
    edges = explicit_edges(*columns([(1, 5, 0)]), valid_from=10**12, half_life=1)
    assert edges.features["weight"][0] > 0


@given(rows=EVENTS, seed=st.integers(0, 9), half_life=st.sampled_from([None, 3]))
def test_edges_are_sums_over_events_in_any_order(rows, seed, half_life):
    expected = {}
    for user, item, time in rows:
        count, newest = expected.get((user, item), (0.0, -1))
        fading = 1.0 if half_life is None else 0.5 ** ((21 - time) / half_life)
        expected[user, item] = (count + fading, max(newest, time))
    edges = explicit_edges(*columns(rows), 21, half_life)
    found = zip(edges.source, edges.target, edges.features["weight"], edges.features["time"], strict=True)
    assert [(u, i) for u, i, _, _ in found] == sorted(expected)
    weights = [expected[pair][0] for pair in sorted(expected)]
    np.testing.assert_allclose(edges.features["weight"], weights, rtol=1e-6)
    assert edges.features["time"].tolist() == [expected[pair][1] for pair in sorted(expected)]

    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = explicit_edges(*(column[order] for column in columns(rows)), 21, half_life)
    assert shuffled.to_bytes() == edges.to_bytes()


def test_most_recent_breaks_ties_by_the_other_end():
    node, other, time = columns([(1, 12, 5), (1, 11, 5), (1, 10, 4), (2, 10, 1)])
    assert most_recent(node, other, time, 1).tolist() == [False, True, False, True]
    assert most_recent(node, other, time, 2).tolist() == [True, True, False, True]
    assert most_recent(node, other, time, 9).all()


@given(
    rows=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=30),
    limit=st.integers(1, 4),
    data=st.data(),
)
def test_most_recent_is_the_brute_force_and_parts_may_be_capped_first(rows, limit, data):
    rows = [(*row, data.draw(st.integers(0, 5))) for row in sorted(rows)]
    expected = set()
    for node in range(3):
        mine = sorted((row for row in rows if row[0] == node), key=lambda row: (-row[2], row[1]))
        expected |= set(mine[:limit])

    def capped(some):
        kept = most_recent(*columns(some), limit)
        return [row for row, keep in zip(some, kept, strict=True) if keep]

    assert set(capped(rows)) == expected
    half = len(rows) // 2
    assert set(capped(capped(rows[:half]) + capped(rows[half:]))) == expected


def test_edge_table_packs_cuts_and_sorts():
    table = EdgeTable(
        np.array([3, 1, 2]), np.array([7, 9, 7]), {"weight": np.array([1, 2, 3], "f4"), "time": np.arange(3)}
    )
    again = EdgeTable.from_bytes(table.to_bytes())
    assert (again.source.tolist(), again.features["weight"].dtype) == ([3, 1, 2], np.float32)
    ordered = table.sorted()
    assert list(zip(ordered.target, ordered.source, strict=True)) == [(7, 2), (7, 3), (9, 1)]
    assert ordered.features["time"].tolist() == [2, 0, 1]
    assert [len(piece) for piece in table.pieces(2)] == [2, 1]
    assert EdgeTable.concatenate(list(table.pieces(2))).to_bytes() == table.to_bytes()
    assert list(table.take(slice(0, 0)).pieces(2)) == []
    with pytest.raises(IndexError):
        table.take(np.array([5]))
