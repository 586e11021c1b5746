import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.export.rank_request import RankRequest
from tf_e2egrec.export.request_rows import fresh_places, recent_ranks


def request(recent, number, candidates):
    recent, candidates = tf.constant(recent, tf.int64), tf.constant(candidates, tf.int64)
    rows = tf.shape(candidates)[0]
    none = tf.zeros([rows], tf.int64)
    full = tf.fill([rows], tf.shape(candidates)[1])
    return RankRequest(none, none, recent, tf.constant(number, tf.int32), candidates, full, {})


def ranks_by_definition(recent, number, candidate, limit):
    """Walk through one user's recent items for one candidate."""
    ranks, seen = [0] * len(recent), set()
    for place, item in enumerate(recent[:number]):
        if item < 0 or item == candidate or item in seen:
            continue
        seen.add(item)
        ranks[place] = len(seen) if len(seen) <= limit else 0
    return ranks


ids = st.integers(-1, 5)  # few, so that they meet


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 6).flatmap(
        lambda width: st.tuples(
            st.lists(st.lists(ids, min_size=width, max_size=width), min_size=2, max_size=2),
            st.lists(st.integers(0, width), min_size=2, max_size=2),
        )
    ),
    st.lists(st.lists(ids, min_size=3, max_size=3), min_size=2, max_size=2),
    st.integers(1, 4),
)
def test_recent_items_of_each_candidate(recents, candidates, limit):
    recent, number = recents
    recent = np.array(recent, np.int64).reshape(2, -1)
    made = request(recent, number, candidates)
    expected = [
        [
            ranks_by_definition(list(recent[row]), number[row], candidate, limit)
            for candidate in candidates[row]
        ]
        for row in range(2)
    ]
    found = recent_ranks(made, made.candidates, limit).numpy()
    np.testing.assert_array_equal(found, np.reshape(expected, found.shape))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(ids, min_size=3, max_size=3), min_size=2, max_size=2),
    st.integers(0, 3).flatmap(
        lambda width: st.lists(st.lists(ids, min_size=width, max_size=width), min_size=2, max_size=2)
    ),
)
def test_fresh_item_of_each_candidate(candidates, fresh):
    width = len(fresh[0])
    expected = [
        row * width + fresh[row].index(one) if one >= 0 and one in fresh[row] else -1
        for row in range(2)
        for one in candidates[row]
    ]
    made = tf.constant(np.reshape(fresh, (2, width)), tf.int64)
    place, row = fresh_places(tf.constant(candidates, tf.int64), made)
    found = np.full(len(expected), -1)
    found[place[:, 0]] = row
    np.testing.assert_array_equal(found, expected)
    assert len(place) == len(row) == sum(one >= 0 for one in expected)
