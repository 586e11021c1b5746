"""`RecommendationModule`: what TensorFlow Serving loads to recommend items to users."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.request_inputs import request_keys
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows


class RecommendationModule(tf.Module):
    """Exact search among all items by dot product, in core ops, through TensorFlow Recommenders' top-k layer (see `TopItems`).

    `recommend`: `user_id` [B] -> `items` ids [B, k], `scores` float32 [B, k], `num_items` int32 [B]; beyond that number, items
      are -1 or "" and scores 0. What the user has seen is left out. An unknown user gets the most popular items, with their popularity
      as score.
    `retrieve`: the same from the recent items of someone without a vector; see `RetrievalModule`. The query is the mean of the
      vectors that those items have in a history.

    Args:
      user_keys, item_keys: int64 [U] and [I], ascending.
      users, items: float32 [U, d] and [I, d]; scores are their products.
      history: float32 [I, d], of items as recent ones.
      seen: CSR [U, I].
      popularity: [I], at least 0.
      k: how many items are found.
      texts: str [I], the item ids, where requests carry text; keys are the ids otherwise.
      users_are_text: whether user ids are.
    """

    def __init__(
        self,
        user_keys: np.ndarray,
        item_keys: np.ndarray,
        users: np.ndarray,
        items: np.ndarray,
        history: np.ndarray,
        seen: sp.csr_array,
        popularity: np.ndarray,
        k: int,
        texts: np.ndarray | None = None,
        users_are_text: bool = False,
    ) -> None:
        super().__init__(name="recommendation_module")
        self.retrieval = RetrievalModule(item_keys, items, history, popularity, k, texts=texts, cosine=False)
        self._users = tf.string if users_are_text else tf.int64
        self.user_keys = tf.Variable(user_keys, dtype=tf.int64, trainable=False, name="user_keys")
        # Row 0 belongs to unknown users.
        table = np.concatenate([np.zeros((1, users.shape[1])), users])
        self.users = tf.Variable(table, dtype=tf.float32, trainable=False, name="users")
        starts = np.r_[0, seen.indptr]
        self.seen_starts = tf.Variable(starts, dtype=tf.int64, trainable=False, name="seen_starts")
        # One entry more: a table that is read must not be empty.
        entries = np.r_[item_keys[seen.indices], MISSING_KEY]
        self.seen_items = tf.Variable(entries, dtype=tf.int64, trainable=False, name="seen_items")

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Concrete functions by signature name."""
        spec = tf.TensorSpec([None], self._users, name="user_id")
        body = tf.function(lambda **inputs: self.recommend(inputs))
        return {"recommend": body.get_concrete_function(user_id=spec), **self.retrieval.signatures()}

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The `recommend` signature's body."""
        rows = sorted_rows(self.user_keys, request_keys(inputs["user_id"])) + 1
        is_unknown = tf.cast(rows == 0, tf.float32)[:, tf.newaxis]
        starts = tf.gather(self.seen_starts, rows)
        counts = tf.gather(self.seen_starts, rows + 1) - starts
        places = tf.ragged.range(starts, starts + counts)
        seen = tf.gather(self.seen_items, places).to_tensor(MISSING_KEY)
        found = self.retrieval.top(tf.concat([tf.gather(self.users, rows), is_unknown], axis=1), seen)
        items = found.keys
        if self.retrieval.texts is not None:
            items = tf.gather(self.retrieval.texts, sorted_rows(self.retrieval.keys, items) + 1)
        return {"items": items, "scores": found.scores, "num_items": found.number}
