import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.training.grown_rows import grown_rows

OLD, NEW = np.array([10, 20, 30]), np.array([20, 25, 30, 40, 50])
ROWS = np.array([[9.0, 9.0], [1.0, 0.0], [3.0, 1.0], [5.0, 2.0]])
FRESH = np.full((6, 2), -7.0)


def nodes(kinds, lengths=None):
    keys = np.array([10, 20, 25, 30, 40, 50])
    return NodeTable(keys, keys.astype(str), {"kind": np.asarray(kinds), "length": np.ones(6, "f4")})


def test_known_keys_keep_their_rows_and_the_unknown_row_too():
    found = grown_rows(OLD, ROWS, NEW, FRESH)
    np.testing.assert_array_equal(found[[0, 1, 3]], ROWS[[0, 2, 3]])
    np.testing.assert_array_equal(found[[2, 4, 5]], FRESH[:3])


def test_a_new_key_is_the_weighted_mean_of_its_known_neighbours():
    table = NeighbourTable.from_edges([10, 30, 40, 99], [25, 25, 25, 50], [1.0, 3.0, 9.0, 1.0])
    found = grown_rows(OLD, ROWS, NEW, FRESH, table)
    np.testing.assert_allclose(found[2], (ROWS[1] + 3 * ROWS[3]) / 4)
    np.testing.assert_array_equal(found[5], FRESH[0])  # its neighbour is unknown


def test_without_neighbours_it_is_the_mean_of_those_of_the_same_kind():
    found = grown_rows(OLD, ROWS, NEW, FRESH, None, nodes([1, 1, 1, 2, -1, 3]))
    np.testing.assert_allclose(found[2], (ROWS[1] + ROWS[2]) / 2)
    np.testing.assert_array_equal(found[4:], FRESH[:2])  # a missing kind, and one that nobody had
    several = nodes([[1, 2], [1, -1], [2, 1], [2, -1], [2, -1], [-1, -1]])
    found = grown_rows(OLD, ROWS, NEW, FRESH, None, several)
    of_1, of_2 = (ROWS[1] + ROWS[2]) / 2, (ROWS[1] + ROWS[3]) / 2
    np.testing.assert_allclose(found[2], (of_1 + of_2) / 2)
    np.testing.assert_allclose(found[4], of_2)


def test_neighbours_come_before_kinds():
    table = NeighbourTable.from_edges([30], [25], [1.0])
    found = grown_rows(OLD, ROWS, NEW, FRESH, table, nodes([1, 1, 1, 2, 1, 3]))
    np.testing.assert_allclose(found[2], ROWS[3])
    np.testing.assert_allclose(found[4], (ROWS[1] + ROWS[2]) / 2)


@given(st.sets(st.integers(0, 30), min_size=1), st.sets(st.integers(0, 30), min_size=1))
@settings(max_examples=50, deadline=None)
def test_every_key_that_both_know_keeps_its_row(old, new):
    old_keys, new_keys = np.array(sorted(old)), np.array(sorted(new))
    rows = np.random.default_rng(0).normal(size=(len(old_keys) + 1, 3))
    found = grown_rows(old_keys, rows, new_keys, np.zeros((len(new_keys) + 1, 3)))
    for i, key in enumerate(new_keys):
        expected = rows[1 + np.flatnonzero(old_keys == key)[0]] if key in old else np.zeros(3)
        np.testing.assert_array_equal(found[1 + i], expected)
