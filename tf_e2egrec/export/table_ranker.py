"""`TableRanker`: the neighbour table travels in the model, and Z is computed in the request."""

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.item_vectors import item_vectors
from tf_e2egrec.export.rank_request import FreshItems
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.layers import LightGCNConv
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows

_CHUNK_NEIGHBOURS = 25_600  # whose vectors are gathered at a time; of 64 numbers each, 6 MB


class TableRanker(VectorRanker):
    """Ranks with the 1-hop propagation in the request, so that a fresh item may have other features and the neighbours of
    the table.

    A LightGCN hop is one weighted sum, of X of the item and of its neighbours; of any other convolution only the latter's mean is.

    Args:
      model: the trained model.
      graph: gives the tables and neighbours, and is not kept.
    """

    def __init__(self, model: E2EGRec, graph: ServingGraph) -> None:
        super().__init__(model, graph, item_vectors(model, graph), name="table_ranker")
        self._fanout = graph.fanout
        self._is_sum = model.variant.propagates(training=False) and isinstance(
            model.convolution, LightGCNConv
        )
        self._chunk = max(1, _CHUNK_NEIGHBOURS // max(1, self._fanout))
        rows, shares = self._sender_table(graph)
        self.sender_rows = self._table(rows, "sender_rows")
        self.sender_shares = self._table(shares, "sender_shares")

    def _sender_table(self, graph: ServingGraph) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows and shares [N + 1, 1 + fanout] of the unknown item and of each item itself, then of their neighbours."""
        keys = graph.item_table.keys
        of_item = tf.tensor_scatter_nd_update(
            tf.zeros([tf.size(keys) + 1], tf.int32),
            sorted_rows(keys, graph.anchor_keys.value())[:, tf.newaxis] + 1,
            1 + tf.range(tf.size(graph.anchor_keys)),
        )
        of_item = tf.concat([[0], of_item[1:]], axis=0)  # an anchor that the node table lacks is unknown
        neighbours = tf.gather(graph.neighbour_keys[:, : self._fanout], of_item)
        weights = tf.gather(graph.neighbour_weights[:, : self._fanout], of_item)
        # Those of no anchor are padding of share 0.
        shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
        own = tf.zeros_like(shares[:, :1])
        if self._is_sum:
            own, others = self.model.convolution.coefficients(shares[:, :1] > 0)  # the heaviest comes first
            shares *= others
        items = tf.concat([tf.constant([MISSING_KEY], tf.int64), keys.value()], axis=0)
        senders = tf.concat([items[:, tf.newaxis], neighbours], axis=1)
        return tf.cast(self.rows_of(senders), tf.int32), tf.concat([own, shares], axis=1)

    def z_of(self, rows: tf.Tensor) -> tf.Tensor:
        """See `VectorRanker`; in chunks, where a batch of requests has many candidates."""
        return tf.cond(tf.size(rows) <= self._chunk, lambda: self._z(rows), lambda: self._z_in_chunks(rows))

    def fresh_mean(self, fresh: FreshItems) -> tuple[tf.Tensor, tf.Tensor]:
        """See `VectorRanker`; where the request leaves them out, the neighbours of the table."""
        given, has_given = super().fresh_mean(fresh)
        own, has_own = self._mean(self.rows_of(tf.reshape(fresh.keys, [-1])))
        chosen = fresh.neighbours_given
        return tf.where(chosen[:, tf.newaxis], given, own), tf.where(chosen, has_given, has_own)

    def _z_in_chunks(self, rows: tf.Tensor) -> tf.Tensor:
        size = self._chunk
        chunks = (tf.size(rows) + size - 1) // size
        parts = tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=[None, self.x.shape[1]])

        def one(chunk: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            z = self._z(rows[chunk * size : (chunk + 1) * size])
            return chunk + 1, parts.write(chunk, z)

        _, parts = tf.while_loop(lambda chunk, _: chunk < chunks, one, (0, parts), parallel_iterations=1)
        return parts.concat()

    def _z(self, rows: tf.Tensor) -> tf.Tensor:
        if not self.model.variant.propagates(training=False):
            return self.x_of(rows)
        if self._is_sum:
            return self.sum_x(*self._senders(rows))
        return self.propagated(self.x_of(rows), *self._mean(rows))

    def _mean(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        senders, shares = self._senders(rows)
        return self.mean_x(senders[:, 1:], shares[:, 1:])

    def _senders(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows and shares [n, 1 + fanout] of items themselves, then of their neighbours."""
        return tf.gather(self.sender_rows, rows), tf.gather(self.sender_shares, rows)
