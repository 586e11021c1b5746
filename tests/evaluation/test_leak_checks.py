"""In each test a leak is planted into data that passes without it."""

import numpy as np
import pytest

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.leak_checks import (
    LoggedRows,
    SampledEdges,
    SampledHistories,
    SnapshotTimes,
    require_allowed_support,
    require_equal_rows,
    require_known_edges,
    require_old_edges,
    require_older_recent_items,
    require_served_in_time,
)


def edges(**changes):
    """Item 8 shown at 120 has the neighbour 7, by the snapshot of [0, 100)."""
    columns = {"neighbour": 7, "candidate": 8, "start": 0, "end": 100, "time": 120} | changes
    return SampledEdges(**{name: np.array([value]) for name, value in columns.items()})


def rows(*triples):
    return LoggedRows(*np.array(triples, np.int64).reshape(-1, 3).T)


TWO_CO_USERS = ((1, 7, 10), (1, 8, 20), (2, 7, 30), (2, 8, 40), (3, 8, 50))


def histories(**changes):
    """User 1 sees item 8 at 120 and had item 7 at 110."""
    columns = {"user": 1, "candidate": 8, "recent": 7, "time": 120, "age": 10.0} | changes
    return SampledHistories(**{name: np.array([value]) for name, value in columns.items()})


def test_an_edge_from_an_event_at_the_moment_of_its_snapshot():
    require_old_edges({3: SnapshotTimes(100, 99)}, "graph")
    for newest in (100, 101):
        with pytest.raises(E2EGRecError, match=f"leak: snapshot 3 of graph holds an edge .* at {newest}"):
            require_old_edges({2: SnapshotTimes(50, 40), 3: SnapshotTimes(100, newest)}, "graph")


def test_a_snapshot_of_the_impressions_future():
    require_served_in_time(edges(time=100), "subgraphs")
    with pytest.raises(E2EGRecError, match="item 8, shown at 99, is served by the snapshot valid from 100"):
        require_served_in_time(edges(time=99), "subgraphs")


def test_a_neighbour_that_the_snapshot_does_not_know():
    require_known_edges(np.array([True]), edges(), "subgraphs")
    with pytest.raises(E2EGRecError, match="has the neighbour 7, which the snapshot valid from 100 does not"):
        require_known_edges(np.array([False]), edges(), "subgraphs")


@pytest.mark.parametrize(
    "planted",
    [
        ((2, 8, 40), (2, 8, 100)),  # the edge needs an event at the moment of the snapshot
        ((2, 8, 40), (2, 8, 120)),  # or the impression itself
        ((2, 8, 40), (4, 8, 40)),  # or a user whom the regime leaves out, so that only a stranger is left
        ((1, 7, 10), (1, 7, -1)),  # or an event from before the window
    ],
)
def test_an_edge_that_allowed_rows_do_not_explain(planted):
    require_allowed_support(edges(), rows(*TWO_CO_USERS), 2, "equal", "graph")
    out, into = planted
    left = [into if row == out else row for row in TWO_CO_USERS]
    with pytest.raises(E2EGRecError, match=r"leak: graph links the items 7 and 8 before 100.*regime `equal`"):
        require_allowed_support(edges(), rows(*left), 2, "equal", "graph")


def test_repeated_rows_of_one_user_are_one_user():
    once = [row for row in TWO_CO_USERS if row[0] != 2]
    with pytest.raises(E2EGRecError, match="leak"):
        require_allowed_support(edges(), rows(*once, (1, 7, 11), (1, 8, 21)), 2, "equal", "graph")


def test_a_random_edge_needs_a_row_of_each_item_only():
    apart = rows((1, 7, 10), (2, 8, 20))
    require_allowed_support(edges(), apart, 0, "equal", "graph")
    with pytest.raises(E2EGRecError, match="leak"):
        require_allowed_support(edges(), rows((1, 7, 10), (2, 8, 100)), 0, "equal", "graph")
    with pytest.raises(E2EGRecError, match="leak"):
        require_allowed_support(edges(), apart, 2, "equal", "graph")


def test_a_graph_of_more_rows_than_the_ranker():
    require_equal_rows(10, 10, "graph")
    with pytest.raises(E2EGRecError, match="leak: graph was made from 11 rows, but the ranker has 10"):
        require_equal_rows(11, 10, "graph")


@pytest.mark.parametrize(
    ("changes", "older", "says"),
    [
        ({"age": 0.0}, (1, 7, 110), "is not older than the impression"),
        ({"recent": 8}, (1, 8, 110), "is the candidate itself"),
        ({}, (1, 7, 120), "has no event before the impression"),
        ({}, (2, 7, 110), "has no event before the impression"),
        ({}, (1, 9, 110), "has no event before the impression"),
    ],
)
def test_recent_items_that_could_not_be_known(changes, older, says):
    require_older_recent_items(histories(), rows((1, 7, 110)), "subgraphs")
    with pytest.raises(E2EGRecError, match=rf"user 1 at 120 \(item \d\) {says}"):
        require_older_recent_items(histories(**changes), rows(older), "subgraphs")


def test_nothing_sampled_is_no_leak():
    none = np.zeros(0, np.int64)
    require_allowed_support(SampledEdges(*[none] * 5), rows(*TWO_CO_USERS), 2, "equal", "graph")
    require_older_recent_items(SampledHistories(*[none] * 5), rows(), "subgraphs")
    require_older_recent_items(SampledHistories(*[none] * 5), rows((1, 7, 110)), "subgraphs")
