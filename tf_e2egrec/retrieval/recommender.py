"""`Recommender`: what the retrieval models share."""

import abc
import math
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.retrieval.losses import alignment_uniformity_loss, sampled_bpr_loss, sampled_softmax_loss
from tf_e2egrec.retrieval.seen_items import SeenItems

require_keras_2()

LOSSES = ("bpr", "directau", "softmax")


class Recommender(tf.keras.Model, abc.ABC):
    """One embedding per user and item, trained on batches (user, item, negative); scores are dot products.

    Users are the first rows of the table, items the next, as in `UserItemGraph`.

    Args:
      users, items: how many there are.
      dim: width of the embeddings.
      loss: `bpr`; `directau`, which needs no negatives; or `softmax`, whose negatives are other items of the batch.
      gamma: weight of the uniformity in `directau`.
      temperature: of `softmax`.
      candidates: of `softmax`: the distinct items of the first so many pairs of the batch are the candidates of all.
      seen: for `softmax`, the training pairs: what a user has is no negative.
      l2: weight of ``(||e_u||^2 + ||e_i||^2 (+ ||e_j||^2)) / 2``, a mean over the batch, of the embeddings as they are in the table.
      initial_std: deviation of the normal distribution they start from; None is Xavier's, sqrt(2 / (rows + dim)), with the rows
        of users and of items apart.
      seed: of that start.

    Attributes:
      embeddings: the table, float32 [users + items, dim].
      uses_negatives: whether the loss looks at the negatives of the batches.

    Raises:
      ValueError: there is no such loss, or `softmax` has no `seen`.
    """

    def __init__(
        self,
        users: int,
        items: int,
        dim: int = 64,
        loss: str = "bpr",
        gamma: float = 0.5,
        temperature: float = 0.1,
        candidates: int = 1024,
        seen: SeenItems | None = None,
        l2: float = 0.0,
        initial_std: float | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"`loss` should be one of {LOSSES}. Received: loss={loss!r}")
        if loss == "softmax" and seen is None:
            raise ValueError("`loss='softmax'` needs `seen`. Received: seen=None")
        super().__init__(**kwargs)
        self.users, self.items, self.dim, self.l2 = users, items, dim, l2
        self.uses_negatives, self.gamma = loss == "bpr", gamma
        self.temperature, self.candidates = temperature, candidates
        self._seen = seen if loss == "softmax" else None
        self.embeddings = self.add_weight("embeddings", shape=(users + items, dim), initializer="zeros")
        parts = [
            tf.random.stateless_normal((rows, dim), (seed, part), stddev=initial_std or _xavier(rows, dim))
            for part, rows in enumerate((users, items))
        ]
        self.embeddings.assign(tf.concat(parts, axis=0))
        self.built = True
        self._mean_loss = tf.keras.metrics.Mean("loss")

    @abc.abstractmethod
    def training_table(self) -> tf.Tensor | tf.Variable:
        """What the loss takes the vectors of users and items from; float32 [users + items, dim]."""

    @abc.abstractmethod
    def final_table(self) -> tf.Tensor:
        """What scores are made of; float32 [users + items, dim]."""

    def vectors(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Vectors of all users and items, float32 [users, d] and [items, d]; scores are their products.

        What `softmax` learns from candidates that are items of other pairs is ``cos(u, i) / temperature = log p(i | u) - log q(i) +
        c(u)``, with q(i) the probability that i is a candidate. Its score is ``cos(u, i) / temperature + log q(i)``, so that q is
        one more dimension.
        """
        table = self._final_table()
        users, items = table[: self.users], table[self.users :]
        if self._seen is None:
            return users, items
        log_presence = self._seen.log_presence(self.candidates)[:, np.newaxis]
        return self._as_queries(users), tf.concat([tf.math.l2_normalize(items, axis=1), log_presence], axis=1)

    def history_vectors(self) -> tf.Tensor:
        """What stands for an item in a history, float32 [items, d]; the mean over a history is scored as a user's vector is."""
        items = self._final_table()[self.users :]
        return items if self._seen is None else self._as_queries(items)

    def _as_queries(self, vectors: tf.Tensor) -> tf.Tensor:
        cosines = tf.math.l2_normalize(vectors, axis=1) / self.temperature
        return tf.concat([cosines, tf.ones_like(cosines[:, :1])], axis=1)

    @tf.function
    def _final_table(self) -> tf.Tensor:
        return self.final_table()

    def batch_loss(self, user: tf.Tensor, item: tf.Tensor, negative: tf.Tensor) -> tf.Tensor:
        """The loss of a batch of positions, int32 [B] each, with the penalty on the embeddings; scalar."""
        parts = [user, item + self.users, *([negative + self.users] if self.uses_negatives else [])]
        rows = tf.concat(parts, axis=0)
        table = self.training_table()
        vectors = tf.split(tf.gather(table, rows), len(parts))
        if self._seen is None:
            loss = self._pair_loss(*vectors)
        else:
            candidates, _ = tf.unique(item[: self.candidates])
            seen = self._seen.among(user, candidates)
            candidates = tf.gather(table, candidates + self.users)
            loss = sampled_softmax_loss(vectors[0], vectors[1], candidates, seen, self.temperature)
        if self.l2 > 0:
            embeddings = tf.gather(self.embeddings, rows)
            loss += self.l2 * tf.nn.l2_loss(embeddings) / tf.cast(tf.shape(user)[0], tf.float32)
        return loss

    def _pair_loss(self, users: tf.Tensor, items: tf.Tensor, negatives: tf.Tensor | None = None) -> tf.Tensor:
        if self.uses_negatives:
            return sampled_bpr_loss(users, items, negatives)
        return alignment_uniformity_loss(users, items, self.gamma)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of the optimiser on a batch (user, item, negative)."""
        with tf.GradientTape() as tape:
            loss = self.batch_loss(*data)
        gradient = tape.gradient(loss, self.embeddings)
        self.optimizer.apply_gradients([(gradient, self.embeddings)])
        self._mean_loss.update_state(loss)
        return {"loss": self._mean_loss.result()}

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The mean loss of the epoch."""
        return [self._mean_loss]


def _xavier(rows: int, dim: int) -> float:
    return math.sqrt(2.0 / (rows + dim))
