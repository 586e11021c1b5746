"""`VectorRanker`: ranks by vectors of items that were computed at export; its subclasses say where Z comes from."""

from abc import abstractmethod

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.item_rows import ItemRows
from tf_e2egrec.export.item_vectors import ItemVectors
from tf_e2egrec.export.rank_request import FreshItems, RankRequest
from tf_e2egrec.export.request_rows import context_rows, fresh_places, listed_candidates, recent_ranks
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.models.impression_vectors import ImpressionVectors
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows


class VectorRanker(tf.Module):
    """What the ranker knows of items, X, and Z of recent items are looked up: a recent item is never fresh. An item that the
    node table lacks has the vectors of the unknown item.

    Args:
      model: the trained model; one for which `is_possible`.
      graph: gives the tables, and is not kept.
      vectors: of all items.
      name: of the module.
    """

    def __init__(self, model: E2EGRec, graph: ServingGraph, vectors: ItemVectors, name: str) -> None:
        super().__init__(name=name)
        self.model = model
        self._description = graph.description
        self.item_table, self.user_table = graph.item_table, graph.user_table
        self.rows_of = ItemRows(graph.item_table.keys)
        self.first_seen = self._table(graph.first_seen, "first_seen")
        self.ranker = self._table(vectors.ranker, "ranker")
        self.x = self._table(vectors.x, "x")
        self.recent_z = self.x if vectors.recent_z is vectors.x else self._table(vectors.recent_z, "recent_z")
        self.id_rows = self._rows_of_ids(graph.item_table.keys)

    @staticmethod
    def is_possible(model: E2EGRec) -> bool:
        """Whether Z is a function of the item: `sym_local` normalises by degrees inside the batch."""
        if not model.variant.propagates(training=False):
            return True
        return getattr(model.convolution, "normalization", "row") == "row"

    @abstractmethod
    def z_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Z of items as candidates: int64 [n] rows of the tables -> float32 [n, width]."""

    def fresh_mean(self, fresh: FreshItems) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean X of the neighbours of fresh items [N, width], and which have any: those of the request."""
        return self.mean_x(self.rows_of(fresh.neighbours), fresh.weights)

    def rank(self, request: RankRequest, fresh: FreshItems | None = None) -> dict[str, tf.Tensor]:
        """`reward` and `stay_seconds`, [B * C]."""
        listed = listed_candidates(request)
        slots = tf.shape(listed)[1]
        candidates = tf.reshape(listed, [-1])
        row = self.rows_of(candidates)
        candidate, candidate_z = tf.gather(self.ranker, row), self.z_of(row)
        if fresh is not None:
            place, own = fresh_places(listed, fresh.keys)
            candidate, candidate_z = (
                tf.tensor_scatter_nd_update(known, place, tf.gather(vectors, own))
                for vectors, known in zip(self._fresh_vectors(fresh), (candidate, candidate_z), strict=True)
            )
        ranks = recent_ranks(request, listed, self._description.graph.recent)
        number = tf.reshape(tf.reduce_max(tf.pad(ranks, [[0, 0], [0, 0], [0, 1]]), axis=2), [-1])
        history, history_x, history_z, last_z = self._history(request.recent, ranks)
        users = {"#id": request.user, **self.user_table(request.user)}
        user, user_x = (tf.repeat(one, slots, axis=0) for one in self.model.user_vectors(users))
        description = self._description
        return self.model.rank_vectors(
            ImpressionVectors(
                user=user,
                user_x=user_x,
                candidate=self._cast(candidate),
                candidate_z=self._cast(candidate_z),
                candidate_key=candidates,
                history=history,
                history_x=history_x,
                history_z=history_z,
                last_z=last_z,
                has_history=number > 0,
                context=context_rows(
                    request,
                    tf.gather(self.first_seen, row),
                    number,
                    description.context_features,
                    description.ranker.computed_from_request,
                    description.time_is_rank,
                ),
            )
        )

    def embed(self, keys: tf.Tensor) -> tf.Tensor:
        """Z of int64 [n] items as candidates; float32 [n, width]."""
        return self.z_of(self.rows_of(keys))

    def x_of(self, rows: tf.Tensor) -> tf.Tensor:
        """X of rows of the tables; float32 [..., width]."""
        # By value: a variable that is gathered from by its handle is copied whole by every other read.
        return tf.gather(self.x.value(), rows)

    def mean_x(self, rows: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Weighted mean of X: rows [n, K], float32 weights [n, K] -> float32 [n, width] and bool [n], any weight at all."""
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        return self.sum_x(rows, tf.math.divide_no_nan(weights, total)), total[:, 0] > 0

    def sum_x(self, rows: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Weighted sum of X: rows [n, K], float32 shares [n, K] -> float32 [n, width].

        A gather and a small product per row: as fast as a product of compressed rows, whose kernel ends the process at a
        request of no rows. The kernel of `gather_nd` is faster than that of `gather`.
        """
        x = tf.gather_nd(self.x.value(), rows[:, :, tf.newaxis])
        return tf.matmul(shares[:, tf.newaxis, :], x)[:, 0, :]

    def propagated(self, x: tf.Tensor, mean: tf.Tensor, has_neighbours: tf.Tensor) -> tf.Tensor:
        """Z of items from their X and their neighbours' mean X; float32 [n, width]."""
        if not self.model.variant.propagates(training=False):
            return x
        return tf.cast(self.model.convolution.from_mean(x, mean, has_neighbours), tf.float32)

    def _history(self, recent: tf.Tensor, ranks: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Means of the ranker's vectors, X and Z over the recent items, and Z of the newest; each [B * C, ...].

        A user's recent items are the same for all candidates but one, so the means are a small dense product instead of
        a sum over B * C * H edges.
        """
        row = self.rows_of(recent)
        z = tf.gather(self.recent_z.value(), row)
        gathered = [tf.gather(self.ranker, row), self.x_of(row), z]
        share = tf.cast(ranks > 0, tf.float32)
        share = tf.math.divide_no_nan(share, tf.reduce_sum(share, axis=2, keepdims=True))
        means = tf.matmul(share, tf.concat(gathered, axis=2))
        last = tf.matmul(tf.cast(ranks == 1, tf.float32), z)
        widths = [self.ranker.shape[1], self.x.shape[1], self.x.shape[1]]
        parts = [*tf.split(means, widths, axis=2), last]
        return tuple(self._cast(tf.reshape(part, [-1, part.shape[2]])) for part in parts)

    def _table(self, values: tf.Tensor, name: str) -> tf.Variable:
        """What the unknown item and each item of the node table have, [N + 1, ...], as `rows_of` finds it."""
        return tf.Variable(self.rows_of.laid_out(values), trainable=False, name=name)

    def _rows_of_ids(self, keys: tf.Variable) -> tf.Variable | None:
        """The row of each item's id embedding; None where the model knows an item that the node table lacks."""
        lookup = self.model.item_encoder.id_lookup
        if tf.reduce_any(sorted_rows(keys, lookup.keys) < 0):
            return None
        return self._table(
            lookup(tf.concat([tf.constant([MISSING_KEY], tf.int64), keys.value()], axis=0)), "id_rows"
        )

    def _fresh_vectors(self, fresh: FreshItems) -> tuple[tf.Tensor, tf.Tensor]:
        """The ranker's vectors and Z of the fresh items, float32 [N, ...]: the 1-hop path."""
        keys = tf.reshape(fresh.keys, [-1])
        identity = (
            {"#id": keys} if self.id_rows is None else {"#row": tf.gather(self.id_rows, self.rows_of(keys))}
        )
        ranker, x = self.model.item_vectors(identity | dict(fresh.features))
        z = self.propagated(tf.cast(x, tf.float32), *self.fresh_mean(fresh))
        return tf.cast(ranker, tf.float32), z

    def _cast(self, values: tf.Tensor) -> tf.Tensor:
        return tf.cast(values, self.model.compute_dtype)
