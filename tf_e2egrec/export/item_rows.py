"""`ItemRows`: from item keys to rows of the exported tables, by hashing."""

from typing import Any

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY


class ItemRows(tf.Module):
    """Looks keys up in a hash table: a request with neighbours brings thousands, and each would be a binary search.

    The table is filled from a variable when the model is loaded, so that the graph stays small.

    Args:
      keys: int64 [N], not negative, each once; row r + 1 belongs to key r.
    """

    def __init__(self, keys: tf.Variable) -> None:
        super().__init__(name="item_rows")
        self.table = tf.lookup.StaticHashTable(_RowsOfVariable(keys), default_value=0)

    def __call__(self, keys: tf.Tensor) -> tf.Tensor:
        """Rows of int64 keys of any shape, 0 for unknown ones; int64, the same shape."""
        return self.table.lookup(keys)


class _RowsOfVariable(tf.lookup.KeyValueTensorInitializer):
    """Key r of a variable -> r + 1; its own keys and values would be constants of the graph."""

    def __init__(self, keys: tf.Variable) -> None:
        super().__init__([], [], key_dtype=tf.int64, value_dtype=tf.int64)
        self._stored = keys

    def initialize(self, table: Any) -> Any:
        """Fill the table, after the variables were restored."""
        missing = tf.constant([MISSING_KEY], tf.int64)  # in row 0; no table may be filled with nothing
        keys = tf.concat([missing, self._stored.value()], axis=0)
        rows = tf.range(tf.size(keys, out_type=tf.int64))
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=keys, values=rows)
