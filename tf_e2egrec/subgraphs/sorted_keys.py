"""Looking keys up in a sorted vector: the only dictionary that models, inputs and exports use."""

import tensorflow as tf


def sorted_rows(sorted_keys: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Rows of `keys` in the ascending int64 `sorted_keys`; int64 like `keys`, -1 where a key is absent."""
    if sorted_keys.shape[0] == 0:
        return -tf.ones_like(keys)
    # Read once: a variable that is gathered from by its handle is copied whole by every other read.
    sorted_keys = tf.convert_to_tensor(sorted_keys)
    size = tf.size(sorted_keys, out_type=tf.int64)
    flat = tf.reshape(keys, [-1])
    position = tf.minimum(tf.searchsorted(sorted_keys, flat, out_type=tf.int64), size - 1)
    found = tf.gather(sorted_keys, position) == flat
    return tf.reshape(tf.where(found, position, -1), tf.shape(keys))
