import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import KeyLookup


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, 2**59), max_size=20), st.lists(st.integers(-1, 2**59), max_size=20))
def test_rows_are_one_plus_the_rank_and_zero_for_unknown(vocabulary, queries):
    keys = sorted(vocabulary)
    lookup = KeyLookup(len(keys))
    lookup.set_keys(np.array(keys, np.int64))
    queries = queries + keys
    rows = lookup(tf.constant(queries, tf.int64, shape=[len(queries)])).numpy().tolist()
    assert rows == [keys.index(q) + 1 if q in vocabulary else 0 for q in queries]


def test_unsorted_keys_are_refused():
    with pytest.raises(ValueError, match="strictly increasing"):
        KeyLookup(2).set_keys(np.array([3, 3]))


def test_layer():
    lookup = KeyLookup(3)
    lookup.set_keys(np.array([1, 5, 9]))
    keys = tf.constant([[5, 6], [9, -1]], tf.int64)
    assert lookup(keys).numpy().tolist() == [[2, 0], [3, 0]]
    check_layer(lookup, lambda layer, keys: layer(keys), keys, (2, 2), trainable=False)
