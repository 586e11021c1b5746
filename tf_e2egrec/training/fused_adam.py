"""`FusedAdam`: Adam with one operation per dense variable."""

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class FusedAdam(tf.keras.optimizers.Adam):
    """Adam (arXiv 1412.6980) through TensorFlow's own fused kernel.

    Keras's Adam takes about twenty small operations for each variable. With dozens of small variables and batches of a few
    hundred rows, starting them costs more than the arithmetic of the whole step. The numbers are the same. Sparse gradients and
    `amsgrad` take Keras's path.

    Example:
      >>> variable = tf.Variable([1.0, 2.0])
      >>> _ = FusedAdam(0.1).apply_gradients([(tf.constant([1.0, -1.0]), variable)]).numpy()
      >>> [round(value, 4) for value in variable.numpy().tolist()]
      [0.9, 2.1]
    """

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Update one variable."""
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            super().update_step(gradient, variable)
            return
        dtype = variable.dtype
        index = self._index_dict[self._var_key(variable)]
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=gradient,
        )
