"""`TopItems`: the items that score highest with a query, without those already seen."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.errors import E2EGRecError


class FoundItems(NamedTuple):
    """The best items of each query, best first.

    Attributes:
      keys: int64 [B, k], `MISSING_KEY` beyond `number`.
      scores: float32 [B, k], 0 beyond `number`.
      number: int32 [B], how many items were found: fewer than k where too many are excluded.
    """

    keys: tf.Tensor
    scores: tf.Tensor
    number: tf.Tensor


class TopItems(tf.Module):
    """Exact search by the dot product of query and item: TensorFlow Recommenders' factorized top-k, brute force, in core ops.

    Equal scores keep the order of `keys`. It knows nothing of where vectors come from; to search by cosine, give unit vectors.

    Example:
      found = TopItems(np.array([7, 8, 9]), np.eye(3, dtype="f4"), k=2)(tf.constant([[3.0, 2.0, 1.0]]), tf.constant([[7]], tf.int64))
      found.keys  # [[8, 9]]

    Args:
      keys: int64 [N], the items, each once; `MISSING_KEY` is none.
      vectors: float32 [N, width].
      k: how many items a query finds; N where there are no more.

    Raises:
      E2EGRecError: there is no item, an item is there twice, shapes do not fit, a vector is not finite, or k is below 1.
    """

    def __init__(self, keys: np.ndarray, vectors: np.ndarray, k: int) -> None:
        super().__init__(name="top_items")
        keys, vectors = np.asarray(keys, np.int64), np.asarray(vectors, np.float32)
        _check(keys, vectors, k)
        self.k, self._size = min(k, len(keys)), len(keys)
        self.index = tfrs.layers.factorized_top_k.BruteForce(k=self.k, name="index")
        self.index.index(tf.constant(vectors), tf.constant(keys))

    def __call__(self, queries: tf.Tensor, seen: tf.Tensor) -> FoundItems:
        """Search.

        Args:
          queries: float32 [B, width].
          seen: int64 [B, H], items that are left out of each answer; `MISSING_KEY`, repeated and unknown ones do no harm.
        """
        # Deep enough that the k best remain when all that was seen is among them.
        depth = tf.minimum(self.k + tf.shape(seen)[1], self._size)
        scores, keys = self.index(queries, k=depth)
        is_seen = tf.reduce_any(keys[:, :, tf.newaxis] == seen[:, tf.newaxis, :], axis=2)
        # TFRS's own exclusion lowers scores by 1e5, which is no bound, and answers seen items where no others are left.
        lowest = tf.constant(-np.inf, tf.float32)
        scores, place = tf.math.top_k(tf.where(is_seen, lowest, scores), k=self.k)
        exists = scores > lowest
        return FoundItems(
            keys=tf.where(exists, tf.gather(keys, place, batch_dims=1), MISSING_KEY),
            scores=tf.where(exists, scores, 0.0),
            number=tf.reduce_sum(tf.cast(exists, tf.int32), axis=1),
        )


def _check(keys: np.ndarray, vectors: np.ndarray, k: int) -> None:
    if k < 1:
        raise E2EGRecError(f"a search for {k} items finds nothing; ask for at least 1")
    if keys.ndim != 1 or vectors.ndim != 2 or len(keys) != len(vectors):
        raise E2EGRecError(
            f"items and their vectors must be [N] and [N, width]; received {list(keys.shape)} and {list(vectors.shape)}"
        )
    if len(keys) == 0:
        raise E2EGRecError("there is no item to search for; give at least one")
    if len(np.unique(keys)) < len(keys) or (keys == MISSING_KEY).any():
        raise E2EGRecError(
            "every item that is searched for needs one key of its own; leave repeated ones out"
        )
    if not np.isfinite(vectors).all():
        raise E2EGRecError(
            "a vector that is searched for is not finite; train the model again, or leave the item out"
        )
