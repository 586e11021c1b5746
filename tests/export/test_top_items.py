"""The k best items of a query, held against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.top_items import TopItems


def brute_force(keys, vectors, k, query, seen):
    """Items by score, equal ones in the order of `keys`, without those seen."""
    scores = vectors @ query
    left = [place for place in np.argsort(-scores, kind="stable") if keys[place] not in seen][:k]
    return keys[left], scores[left]


@settings(max_examples=40)
@given(st.data())
def test_it_finds_what_numpy_finds(data):
    # Small integers: dot products are exact, and many are equal.
    size, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    batch, seen_width = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 15))
    k = data.draw(st.integers(1, 14))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    keys = rng.permutation(100)[:size]
    vectors = rng.integers(-2, 3, (size, width)).astype("f4")
    queries = rng.integers(-2, 3, (batch, width)).astype("f4")
    seen = rng.choice([-1, 5000, *keys], (batch, seen_width))
    found = TopItems(keys, vectors, k)(tf.constant(queries), tf.constant(seen, tf.int64))
    assert found.keys.shape == found.scores.shape == (batch, min(k, size))
    for row in range(batch):
        items, scores = brute_force(keys, vectors, k, queries[row], set(seen[row]))
        number = int(found.number[row])
        assert number == len(items)
        assert found.keys[row, :number].numpy().tolist() == items.tolist()
        assert found.scores[row, :number].numpy().tolist() == scores.tolist()
        assert (found.keys[row, number:].numpy() == -1).all()
        assert (found.scores[row, number:].numpy() == 0).all()


def test_large_scores_do_not_bring_seen_items_back():
    top = TopItems(np.array([1, 2, 3]), np.array([[1e9], [1.0], [-1e9]], "f4"), 2)
    found = top(tf.constant([[1.0]]), tf.constant([[1]], tf.int64))
    assert found.keys.numpy().tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("keys", "vectors", "k", "says"),
    [
        ([1, 2], [[1.0], [2.0]], 0, "at least 1"),
        ([], np.zeros((0, 2)), 3, "no item"),
        ([1, 1], [[1.0], [2.0]], 1, "repeated"),
        ([-1, 1], [[1.0], [2.0]], 1, "key of its own"),
        ([1, 2], [[1.0]], 1, r"received \[2\] and \[1, 1\]"),
        ([1, 2], [1.0, 2.0], 1, r"\[N, width\]"),
        ([1, 2], [[1.0], [np.nan]], 1, "not finite"),
    ],
)
def test_mistakes(keys, vectors, k, says):
    with pytest.raises(E2EGRecError, match=says):
        TopItems(np.array(keys), np.array(vectors), k)


def test_it_is_saved_in_core_ops_and_answers_alike(tmp_path):
    rng = np.random.default_rng(0)
    top = TopItems(np.arange(100, 130), rng.normal(size=(30, 4)), 5)
    queries, seen = tf.constant(rng.normal(size=(3, 4)), tf.float32), tf.constant([[100, 101]] * 3, tf.int64)
    answer = tf.function(lambda queries, seen: top(queries, seen)._asdict()).get_concrete_function(
        queries=tf.TensorSpec([None, 4], tf.float32, name="queries"),
        seen=tf.TensorSpec([None, None], tf.int64, name="seen"),
    )
    tf.saved_model.save(top, str(tmp_path / "1"), signatures={"find": answer})
    loaded = tf.saved_model.load(str(tmp_path / "1")).signatures["find"](queries=queries, seen=seen)
    for name, expected in top(queries, seen)._asdict().items():
        np.testing.assert_array_equal(loaded[name], expected)
