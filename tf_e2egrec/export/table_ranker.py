"""`TableRanker`: the neighbour table travels in the model, and Z is computed in the request."""

import tensorflow as tf

from tf_e2egrec.export.item_vectors import item_vectors
from tf_e2egrec.export.rank_request import FreshItems
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.models import E2EGRec

_CHUNK_NEIGHBOURS = 25_600  # whose vectors are gathered at a time; of 64 numbers each, 6 MB


class TableRanker(VectorRanker):
    """Ranks with the 1-hop propagation in the request, so that a fresh item may have other features and the neighbours of
    the table.

    Args:
      model: the trained model.
      graph: gives the tables and neighbours, and is not kept.
    """

    def __init__(self, model: E2EGRec, graph: ServingGraph) -> None:
        super().__init__(model, graph, item_vectors(model, graph), name="table_ranker")
        self._fanout = graph.fanout
        self._chunk = max(1, _CHUNK_NEIGHBOURS // max(1, self._fanout))
        # Row r of the two tables belongs to row r of X; neighbours of no anchor are padding of share 0.
        anchors = tf.size(graph.anchor_keys)
        of_item = tf.tensor_scatter_nd_update(
            tf.zeros([tf.size(graph.item_table.keys) + 1], tf.int32),
            self.rows_of(graph.anchor_keys.value())[:, tf.newaxis],
            1 + tf.range(anchors),
        )
        of_item = tf.concat([[0], of_item[1:]], axis=0)  # an anchor that the node table lacks is unknown
        rows = tf.cast(self.rows_of(graph.neighbour_keys[:, : self._fanout]), tf.int32)
        self.neighbour_rows = tf.Variable(tf.gather(rows, of_item), trainable=False, name="neighbour_rows")
        weights = tf.gather(graph.neighbour_weights[:, : self._fanout], of_item)
        shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
        self.neighbour_shares = tf.Variable(shares, trainable=False, name="neighbour_shares")

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
        x = self.x_of(rows)
        if not self.model.variant.propagates(training=False):
            return x
        return self.propagated(x, *self._mean(rows))

    def _mean(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        neighbours, shares = tf.gather(self.neighbour_rows, rows), tf.gather(self.neighbour_shares, rows)
        return self.sum_x(neighbours, shares), shares[:, 0] > 0  # the heaviest comes first
