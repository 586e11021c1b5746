"""`RetrievalModule`: the `retrieve` signature, from recent items to items worth ranking."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.rank_request import RankRequest
from tf_e2egrec.export.request_inputs import request_keys
from tf_e2egrec.export.request_rows import recent_ranks
from tf_e2egrec.export.top_items import FoundItems, TopItems
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows

MOST_RECENT_ITEMS = 1000  # of a request; more are not looked at, so that no request is dear


class RetrievalModule(tf.Module):
    """What TensorFlow Serving loads to find candidates: a user's query is the mean of the vectors of the recent items, the
    pooling by which the ranker sees a history, and every item is scored with it.

    `retrieve`: `recent` ids [B, H] and `num_recent` int32 [B] -> `items` ids [B, k], `scores` float32 [B, k], `num_items`
      int32 [B]; beyond that number, items are -1 or "" and scores 0. Recent items are never answered. Unknown ones are
      ignored; without any known one the most popular items are answered, with their popularity as score.

    Args:
      keys: int64 [N], ascending, the items.
      vectors: float32 [N, width], of the items as what is found.
      query_vectors: float32 [N, width], of the same items as recent ones.
      popularity: [N], at least 0.
      k: how many items are found.
      recent_limit: how many recent items count, the newest ones; 0 for all.
      texts: str [N], the ids, where requests carry text; keys are the ids otherwise.
      cosine: score by the cosine instead of the dot product.
    """

    def __init__(
        self,
        keys: np.ndarray,
        vectors: np.ndarray,
        query_vectors: np.ndarray,
        popularity: np.ndarray,
        k: int,
        recent_limit: int = 0,
        texts: np.ndarray | None = None,
        cosine: bool = True,
    ) -> None:
        super().__init__(name="retrieval_module")
        self._limit = recent_limit or MOST_RECENT_ITEMS
        self._cosine = cosine
        vectors = np.asarray(vectors, np.float32)
        if cosine:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        # Popularity is one more dimension, which the query of a user without history asks for alone.
        with_popularity = np.concatenate([vectors, np.asarray(popularity, np.float32)[:, np.newaxis]], axis=1)
        self.top = TopItems(keys, with_popularity, k)
        self.keys = tf.Variable(keys, dtype=tf.int64, trainable=False, name="keys")
        self.query_vectors = tf.Variable(
            query_vectors, dtype=tf.float32, trainable=False, name="query_vectors"
        )
        self.texts = (
            None
            if texts is None
            else tf.Variable([b"", *(one.encode() for one in texts)], trainable=False, name="texts")
        )

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Concrete functions by signature name."""
        ids = tf.int64 if self.texts is None else tf.string
        specs = {
            "recent": tf.TensorSpec([None, None], ids, name="recent"),
            "num_recent": tf.TensorSpec([None], tf.int32, name="num_recent"),
        }
        body = tf.function(lambda **inputs: self.retrieve(inputs))
        return {"retrieve": body.get_concrete_function(**specs)}

    def retrieve(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The signature's body."""
        found = self.find(request_keys(inputs["recent"]), inputs["num_recent"])
        items = found.keys
        if self.texts is not None:
            items = tf.gather(self.texts, sorted_rows(self.keys, items) + 1)
        return {"items": items, "scores": found.scores, "num_items": found.number}

    def find(self, recent: tf.Tensor, num_recent: tf.Tensor, popular: bool = False) -> FoundItems:
        """Find items.

        Args:
          recent: int64 [B, H], newest first.
          num_recent: int32 [B].
          popular: answer popular items, whatever the history.
        """
        recent = recent[:, :MOST_RECENT_ITEMS]
        rows = sorted_rows(self.keys, recent)
        is_known = tf.sequence_mask(num_recent, tf.shape(recent)[1]) & (rows >= 0)
        seen = tf.where(is_known, recent, MISSING_KEY)
        share = _share(seen, self._limit)
        query = tf.matmul(share[:, tf.newaxis], tf.gather(self.query_vectors, tf.maximum(rows, 0)))[:, 0]
        if self._cosine:
            query = tf.math.l2_normalize(query, axis=1)
        by_popularity = 1.0 - tf.cast(tf.reduce_any(is_known, axis=1, keepdims=True), tf.float32)
        if popular:
            query, by_popularity = tf.zeros_like(query), tf.ones_like(by_popularity)
        return self.top(tf.concat([query, by_popularity], axis=1), seen)


def _share(recent: tf.Tensor, limit: int) -> tf.Tensor:
    """What each recent item counts in the mean: float32 [B, H]; distinct ones, the newest `limit`."""
    batch, width = tf.unstack(tf.shape(recent))
    nothing = tf.fill([batch, 1], tf.constant(MISSING_KEY, tf.int64))
    request = RankRequest(
        user=nothing[:, 0],
        time=nothing[:, 0],
        recent=recent,
        num_recent=tf.fill([batch], width),
        candidates=nothing,
        num_candidates=tf.zeros([batch], tf.int32),
        context={},
    )
    counts = tf.cast(recent_ranks(request, nothing, limit)[:, 0] > 0, tf.float32)
    return tf.math.divide_no_nan(counts, tf.reduce_sum(counts, axis=1, keepdims=True))
