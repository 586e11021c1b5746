"""`ItemRows`: from item keys to rows of the exported tables."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY

_MOST_ROWS = 1.25  # per key; that many tables may be longer than they need to be


class ItemRows(tf.Module):
    """Says which row of a table is an item's, and lays the tables out so that it is found fast: a request with neighbours brings
    thousands of keys, and each would be a binary search.

    Keys that leave few gaps, such as numbers given one after the other, are rows themselves, but for the first; a gap holds what an
    unknown item has. All others are looked up in a hash table. It is filled from a variable when the model is loaded, so that the
    graph stays small.

    Args:
      keys: int64 [N], not negative, ascending, each once.
    """

    def __init__(self, keys: tf.Variable) -> None:
        super().__init__(name="item_rows")
        self._keys = keys.numpy()
        first, last = (int(self._keys[0]), int(self._keys[-1])) if len(self._keys) else (0, -1)
        self._before, self._behind = first - 1, last - first + 2
        self.table: tf.lookup.StaticHashTable | None = None
        if last - first + 1 > _MOST_ROWS * len(self._keys):
            self.table = tf.lookup.StaticHashTable(_RowsOfVariable(keys), default_value=0)

    def __call__(self, keys: tf.Tensor) -> tf.Tensor:
        """Rows of int64 keys of any shape, not below `MISSING_KEY`, in tables that `laid_out` made; int64, the same shape."""
        if self.table is not None:
            return self.table.lookup(keys)
        return tf.clip_by_value(keys - self._before, 0, self._behind)

    def laid_out(self, values: tf.Tensor) -> tf.Tensor:
        """A table from its rows.

        Args:
          values: [N + 1, ...], what an unknown item has, then what each key has.

        Returns:
          [rows, ...], at least as many.
        """
        if self.table is not None:
            return tf.convert_to_tensor(values)
        origin = np.zeros(self._behind + 1, np.int64)
        origin[self._keys - self._before] = np.arange(1, len(self._keys) + 1)
        return tf.gather(values, origin)


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
