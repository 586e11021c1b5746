import numpy as np
import tensorflow as tf

from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import KeyHashing

KEYS = np.r_[np.arange(300), 2**58, -1]


def test_rows_by_several_hashes():
    rows = KeyHashing(buckets=20, hashes=2)(tf.constant(KEYS)).numpy()
    assert rows.shape == (302, 2) and rows.dtype == np.int64
    assert rows[-1].tolist() == [0, 0]
    assert set(rows[:-1].ravel()) == set(range(1, 21))
    first = tf.keras.layers.Hashing(21, mask_value=-1)(tf.constant(KEYS)).numpy()
    np.testing.assert_array_equal(rows[:, 0], first)  # what one hash gives


def test_two_hashes_tell_apart_what_one_cannot():
    rows = KeyHashing(buckets=400, hashes=2)(tf.constant(KEYS[:300])).numpy()
    assert len(set(rows[:, 0])) < 250  # of 300 keys, a quarter share the row of an earlier one
    assert len({tuple(row) for row in rows}) >= 298


def test_layer():
    keys = tf.constant([[5, 6], [9, -1]], tf.int64)
    check_layer(KeyHashing(50, 3), lambda layer, inputs: layer(inputs), keys, (2, 2, 3), trainable=False)
