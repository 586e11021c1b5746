"""`UserItemGraph`: the whole graph of users and items as one symmetric matrix."""

import numpy as np
import scipy.sparse as sp
import tensorflow as tf


class UserItemGraph:
    """``Â = D^-1/2 A D^-1/2`` of the training pairs: users are the first U nodes, items the next I.

    The coefficients are those of `LightGCNConv(normalization="sym_local")` on the whole graph. The product goes through
    TensorFlow's CSR kernel, which is several times as fast as the one for coordinate lists and knows no gradient of its own;
    Â is symmetric, so that the gradient of a product is another product with it.

    Args:
      train: CSR [U, I] of ones.

    Attributes:
      train: the same.

    Example:
      >>> graph = UserItemGraph(sp.csr_array(np.ones((1, 4))))  # one user, four items
      >>> graph.propagate(tf.constant([[4.0], [2.0], [2.0], [4.0], [6.0]])).numpy().ravel().tolist()
      [7.0, 2.0, 2.0, 2.0, 2.0]
    """

    def __init__(self, train: sp.csr_array) -> None:
        self.train, (self.users, self.items) = train, train.shape
        pairs = train.tocoo()
        user, item = pairs.row.astype(np.int64), pairs.col.astype(np.int64) + self.users
        target, source = np.r_[user, item], np.r_[item, user]
        degree = np.bincount(target, minlength=self.nodes)
        root = np.sqrt(np.maximum(degree, 1))
        coefficient = (1.0 / (root[target] * root[source])).astype(np.float32)
        order = np.lexsort((source, target))
        self.matrix = tf.SparseTensor(
            np.stack([target, source], axis=1)[order], coefficient[order], (self.nodes, self.nodes)
        )
        self.has_neighbours = tf.constant(degree[:, np.newaxis] > 0)

    @property
    def nodes(self) -> int:
        """U + I."""
        return self.users + self.items

    def propagate(self, x: tf.Tensor) -> tf.Tensor:
        """``Â x``; float32 [U + I, d] from the same."""
        return self.powers(x, 1)[0]

    def powers(self, x: tf.Tensor, count: int) -> list[tf.Tensor]:
        """``Â x, Â² x, ...``: `count` tensors float32 [U + I, d]."""
        matrix = self._csr()

        @tf.custom_gradient
        def product(values: tf.Tensor) -> tuple[tf.Tensor, object]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=upstream)

            return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=values), gradient

        found = []
        for _ in range(count):
            x = product(x)
            x.set_shape((self.nodes, x.shape[-1]))
            found.append(x)
        return found

    def _csr(self) -> tf.Tensor:
        return tf.raw_ops.SparseTensorToCSRSparseMatrix(
            indices=self.matrix.indices, values=self.matrix.values, dense_shape=self.matrix.dense_shape
        )
