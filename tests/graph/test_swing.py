import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.swing import swing_edges, window_edges
from tf_e2egrec.graph.swing_histories import SwingHistories
from tf_e2egrec.graph.swing_kernel import _move_largest_first
from tf_e2egrec.graph.swing_reference import capped_histories, swing_reference

# (users, items, times); few distinct values, so that duplicates, ties and hot items are common
logs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 6)), max_size=90)
large_logs = st.tuples(st.integers(0, 2**32 - 1), st.integers(200, 600), st.sampled_from([5, 25]))
specs = st.builds(
    SwingSpec,
    preset=st.sampled_from(["pai", "paper", "seed"]),
    top=st.integers(1, 12),
    min_behaviours=st.integers(1, 3),
    max_behaviours=st.integers(3, 12),
    max_users_per_item=st.integers(2, 12),
)


def columns(log):
    return tuple(np.array(log, np.int64).reshape(-1, 3).T)


def assert_is_reference(edges, log, spec, seed):
    users, items, times = (column.tolist() for column in columns(log))
    expected = swing_reference(users, items, times, spec, seed)
    flat = [(target, source, score) for target, row in expected.items() for source, score in row]
    assert list(zip(edges.target, edges.source, strict=True)) == [
        (target, source) for target, source, _ in flat
    ]
    np.testing.assert_allclose(edges.weight, [score for *_, score in flat], rtol=1e-6)


def assert_equal_edges(one, other):
    for column in ("source", "target", "weight"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert one.newest_event_time == other.newest_event_time
    assert one.counters == other.counters


@settings(deadline=None, max_examples=300)
@given(log=logs, spec=specs, seed=st.integers(0, 5))
def test_kernel_is_the_definition(log, spec, seed):
    assert_is_reference(swing_edges(*columns(log), spec, seed), log, spec, seed)


@settings(deadline=None, max_examples=25)
@given(source=large_logs, spec=specs)
def test_kernel_is_the_definition_on_longer_histories(source, spec):
    # Long lists take the dense path and its partial sums, short ones the sparse path.
    random = np.random.default_rng(source[0])
    log = list(
        zip(*(random.integers(0, high, source[1]).tolist() for high in (source[2], 40, 50)), strict=True)
    )
    spec = spec.model_copy(update={"max_behaviours": 30, "max_users_per_item": 20, "top": 30})
    assert_is_reference(swing_edges(*columns(log), spec), log, spec, 0)


@settings(deadline=None, max_examples=100)
@given(log=logs, spec=specs, order=st.randoms(use_true_random=False), threads=st.integers(1, 3))
def test_row_order_and_threads_change_no_bit(log, spec, order, threads):
    shuffled = order.sample(log, len(log)) + log[:3]
    assert_equal_edges(
        swing_edges(*columns(log), spec, threads=1), swing_edges(*columns(shuffled), spec, threads=threads)
    )


@settings(deadline=None, max_examples=100)
@given(log=logs, spec=specs, parts=st.integers(1, 4))
def test_anchors_can_be_computed_apart(log, spec, parts):
    histories = SwingHistories.from_interactions(*columns(log), 0)
    whole = window_edges(histories, spec)
    number = np.arange(len(histories.item_keys))
    split = [window_edges(histories, spec, is_anchor=number % parts == part) for part in range(parts)]
    rows = [
        sorted(
            zip(
                *(np.concatenate([getattr(e, c) for e in edges]) for c in ("target", "source", "weight")),
                strict=True,
            )
        )
        for edges in ([whole], split)
    ]
    assert rows[0] == rows[1]


@settings(deadline=None, max_examples=150)
@given(log=logs, spec=specs, start=st.integers(-1, 6), length=st.integers(0, 6))
def test_a_window_sees_only_its_events(log, spec, start, length):
    end = start + length
    edges = window_edges(SwingHistories.from_interactions(*columns(log), 0), spec, start, end)
    inside = [row for row in log if start <= row[2] < end]
    assert_is_reference(edges, inside, spec, 0)
    if len(edges):
        assert start <= edges.newest_event_time < end


@settings(deadline=None, max_examples=100)
@given(log=logs, spec=specs)
def test_newest_event_time_is_that_of_a_history_behind_an_edge(log, spec):
    edges = swing_edges(*columns(log), spec)
    users, items, times = (column.tolist() for column in columns(log))
    histories = capped_histories(users, items, times, spec)
    latest = {(u, i): max(t for uu, ii, t in log if (uu, ii) == (u, i)) for u, i, _ in log}
    newest_of = {max(latest[user, item] for item in history) for user, history in histories.items()}
    assert edges.newest_event_time is None if not len(edges) else edges.newest_event_time in newest_of


def test_example_of_flink_ml():
    # The example of Flink ML's documentation: alpha1=15, alpha2=0, beta=0.3, every user counts.
    users = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    items = [10, 11, 12, 13, 12, 10, 11, 12, 13, 12]
    spec = SwingSpec(alpha1=15, alpha2=0, beta=0.3, min_behaviours=1)
    reference = swing_reference(users, items, [0] * 10, spec)
    three, two = 0.058845768947156235, 0.09134833828228624
    assert reference == {
        10: [(11, pytest.approx(three)), (12, pytest.approx(three))],
        11: [(10, pytest.approx(three)), (12, pytest.approx(three))],
        12: [(13, pytest.approx(two)), (10, pytest.approx(three)), (11, pytest.approx(three))],
        13: [(12, pytest.approx(two))],
    }
    edges = swing_edges(np.array(users), np.array(items), spec=spec)
    assert_is_reference(edges, list(zip(users, items, [0] * 10, strict=True)), spec, 0)


def test_a_single_common_user_makes_no_edge():
    assert len(swing_edges(np.zeros(5), np.arange(5))) == 0


def test_caps_are_counted():
    # Users 0..4 share items 0..3; user 5 has six items, user 6 only one.
    users = [u for u in range(5) for _ in range(4)] + [5] * 6 + [6]
    items = [i for _ in range(5) for i in range(4)] + list(range(6)) + [0]
    spec = SwingSpec(min_behaviours=2, max_behaviours=4, max_users_per_item=3)
    counters = swing_edges(np.array(users), np.array(items), np.arange(len(users)), spec).counters
    assert counters["users_below_min"] == 1
    assert (counters["users_capped"], counters["behaviours_capped"]) == (1, 2)
    assert (counters["items_capped"], counters["anchor_users_capped"]) == (4, 2 * 2 + 3 * 2)
    assert (counters["edges"], counters["items"]) == (4 * 3, 4)


def test_a_capped_user_keeps_the_most_recent_items_and_smaller_keys_on_ties():
    histories = capped_histories(
        [1] * 5, [5, 6, 7, 8, 9], [1, 3, 3, 3, 0], SwingSpec(min_behaviours=2, max_behaviours=2)
    )
    assert histories == {1: {6, 7}}


def test_the_anchor_cap_samples_users_and_leaves_histories_whole():
    # 40 users share items 1 and 2; each also has an item of its own pair.
    users = np.repeat(np.arange(40), 3)
    items = np.array([[1, 2, 100 + user // 2] for user in range(40)]).ravel()
    spec = SwingSpec(max_users_per_item=10, preset="seed")
    samples = [swing_edges(users, items, spec=spec, seed=seed) for seed in range(2)]
    for edges in samples:
        hot = edges.weight[(edges.target == 1) & (edges.source == 2)]
        assert 45 / 4 <= hot[0] <= 45 / 3  # 10 * 9 / 2 pairs, overlaps 2 or 3
        cold = edges.weight[(edges.target == 100) & (edges.source == 1)]
        np.testing.assert_allclose(cold, 1 / 4)  # the pair's whole overlap of 3
    assert not np.array_equal(samples[0].weight, samples[1].weight)


def test_missing_keys_are_dropped_and_counted():
    users, items = np.array([0, 0, 1, 1, -1, 1]), np.array([1, 2, 1, 2, 1, -1])
    edges = swing_edges(users, items, spec=SwingSpec(min_behaviours=1))
    assert edges.counters["rows_without_key"] == 2
    assert set(zip(edges.target, edges.source, strict=True)) == {(1, 2), (2, 1)}


def test_large_keys_of_domains_survive():
    items = np.array([3, (15 << 59) | 7])
    edges = swing_edges(np.repeat([2**58, 5], 2), np.tile(items, 2), spec=SwingSpec(min_behaviours=1))
    assert edges.target.tolist() == items.tolist()
    assert edges.source.tolist() == items[::-1].tolist()


def test_normalised_weights_have_the_maximum_one():
    random = np.random.default_rng(0)
    edges = swing_edges(
        random.integers(0, 20, 200), random.integers(0, 15, 200), spec=SwingSpec(normalise=True)
    )
    for target in np.unique(edges.target):
        own = edges.target == target
        np.testing.assert_array_equal(edges.normalised[own], edges.weight[own] / edges.weight[own].max())


def test_symmetrise_takes_the_larger_direction():
    random = np.random.default_rng(1)
    users, items = random.integers(0, 40, 400), random.integers(0, 12, 400)
    spec = SwingSpec(max_users_per_item=5, top=4)
    directed = swing_edges(users, items, spec=spec)
    symmetric = swing_edges(users, items, spec=spec, symmetrise=True)
    weight = {(s, t): w for s, t, w in zip(directed.source, directed.target, directed.weight, strict=True)}
    expected = {
        pair: max(weight.get(pair, 0), weight.get(pair[::-1], 0))
        for edge in weight
        for pair in (edge, edge[::-1])
    }
    found = {(s, t): w for s, t, w in zip(symmetric.source, symmetric.target, symmetric.weight, strict=True)}
    assert found == expected
    rows = list(zip(symmetric.target, -symmetric.weight, symmetric.source, strict=True))
    assert rows == sorted(rows)
    assert symmetric.counters["edges"] == len(symmetric)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(E2EGRecError, match="one length"):
        swing_edges(np.arange(3), np.arange(4))


def test_a_negative_beta_is_refused():
    with pytest.raises(ValueError, match="negative beta"):
        SwingSpec(beta=-0.3)


@settings(deadline=None)
@given(values=st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=60), data=st.data())
def test_move_largest_first(values, data):
    order = data.draw(st.permutations(sorted(values)))
    count = data.draw(st.integers(1, len(order)))
    array = np.array(order, np.uint64)
    _move_largest_first(array, count)
    assert sorted(array.tolist()) == sorted(values)
    assert set(array[:count].tolist()) == set(itertools.islice(sorted(values, reverse=True), count))
