"""What nobody exports, to know what it would cost: two hops in the request, and the propagation over the whole graph."""

import tensorflow as tf

from tf_e2egrec.export.table_ranker import TableRanker


class TwoHopRanker(TableRanker):
    """The mean over the neighbours is of their own one-hop Z: fanout ** 2 vectors a candidate."""

    def _z(self, rows: tf.Tensor) -> tf.Tensor:
        senders, shares = self._senders(rows)
        z = super()._z(tf.reshape(senders[:, 1:], [-1]))
        of_row = tf.reshape(z, [-1, tf.shape(senders)[1] - 1, self.x.shape[1]])
        others = tf.matmul(shares[:, tf.newaxis, 1:], of_row)[:, 0, :]
        return shares[:, :1] * self.x_of(rows) + others


class WholeGraphRanker(TableRanker):
    """Z of every item is computed anew for each request, as LightGCN on the whole graph would."""

    def z_of(self, rows: tf.Tensor) -> tf.Tensor:
        """See `VectorRanker`."""
        everything = super().z_of(tf.range(tf.shape(self.x)[0], dtype=rows.dtype))
        return tf.gather(everything, rows)
