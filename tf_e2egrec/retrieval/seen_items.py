"""`SeenItems`: which of a few items a user has training pairs with, and how often an item is among a few."""

import numpy as np
import scipy.sparse as sp
import tensorflow as tf


class SeenItems:
    """Looks the pairs of a batch up, at the cost of the batch's users' own items.

    Args:
      train: CSR [U, I] of ones.

    Example:
      >>> seen = SeenItems(sp.csr_array(np.array([[1, 1, 0], [0, 0, 1]])))
      >>> seen.among(tf.constant([1, 0]), tf.constant([2, 0])).numpy().tolist()  # user 1 has item 2, user 0 has item 0
      [[0, 0], [1, 1]]
    """

    def __init__(self, train: sp.csr_array) -> None:
        self._starts = tf.constant(train.indptr, tf.int32)
        self._items = tf.constant(np.asarray(train.indices), tf.int32)
        self._count = train.shape[1]
        self._pairs = np.bincount(train.indices, minlength=train.shape[1])

    def among(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """The pairs (place in `users`, place in `items`) that were trained.

        Args:
          users: int32 [B]; one may come several times.
          items: int32 [N], distinct.

        Returns:
          int64 [n, 2], each pair once.
        """
        place = tf.fill([self._count], -1)
        place = tf.tensor_scatter_nd_update(place, items[:, tf.newaxis], tf.range(tf.size(items)))
        start, stop = tf.gather(self._starts, users), tf.gather(self._starts, users + 1)
        own = tf.gather(self._items, tf.ragged.range(start, stop).flat_values)
        found = tf.gather(place, own)
        row = tf.repeat(tf.range(tf.size(users)), stop - start)
        is_found = found >= 0
        return tf.cast(
            tf.stack([tf.boolean_mask(row, is_found), tf.boolean_mask(found, is_found)], axis=1), tf.int64
        )

    def log_presence(self, pairs: int) -> np.ndarray:
        """How likely an item is among those of some random training pairs: ``log(1 - (1 - n_i / n)^pairs)``, float32 [I].

        n_i are the item's training pairs, and half a one where it has none.
        """
        share = np.maximum(self._pairs, 0.5) / max(self._pairs.sum(), 1)
        return np.log(-np.expm1(pairs * np.log1p(-np.minimum(share, 1 - 1e-9)))).astype(np.float32)
