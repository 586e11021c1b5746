"""What nobody exports, to know what it would cost: two hops in the request, and the propagation over the whole graph."""

import tensorflow as tf

from tf_e2egrec.export.table_ranker import TableRanker


class TwoHopRanker(TableRanker):
    """The mean over the neighbours is of their own one-hop Z: fanout ** 2 vectors a candidate."""

    def _mean(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        neighbours, shares = tf.gather(self.neighbour_rows, rows), tf.gather(self.neighbour_shares, rows)
        flat = tf.reshape(neighbours, [-1])
        z = self.propagated(self.x_of(flat), *super()._mean(flat))
        of_row = tf.reshape(z, [-1, tf.shape(neighbours)[1], self.x.shape[1]])
        mean = tf.matmul(shares[:, tf.newaxis, :], of_row)[:, 0, :]
        return mean, shares[:, 0] > 0


class WholeGraphRanker(TableRanker):
    """Z of every item is computed anew for each request, as LightGCN on the whole graph would."""

    def z_of(self, rows: tf.Tensor) -> tf.Tensor:
        """See `VectorRanker`."""
        everything = super().z_of(tf.range(tf.shape(self.x)[0], dtype=rows.dtype))
        return tf.gather(everything, rows)
