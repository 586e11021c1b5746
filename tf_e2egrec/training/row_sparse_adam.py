"""`RowSparseAdam`: Adam that touches only the rows a batch used."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.sparse_gradients import Gradient, sum_duplicate_rows

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class RowSparseAdam(tf.keras.optimizers.Optimizer):
    """Adam (arXiv 1412.6980) for embedding tables: moments and values of rows without a gradient stay as they
    are.

    Keras's Adam decays the moments of every row at every step, three passes over the whole table. This one
    costs as much as the rows of the batch. It is therefore not Adam on rare rows: their moments do not decay
    between visits. Rows that occur several times in a batch are summed first. Dense gradients get plain Adam.

    Args:
      learning_rate: float or schedule.
      beta_1, beta_2, epsilon: as in Adam.
      row_decay: decoupled weight decay (arXiv 1711.05101) of the rows of the batch: each is first multiplied by
        1 - learning_rate * row_decay. Rare ids are decayed rarely, so that it acts like a prior on all of them.

    Example: row 2 occurs twice, row 0 never.
      >>> table = tf.Variable(tf.zeros((3, 2)))
      >>> gradient = tf.IndexedSlices(tf.ones((3, 2)), tf.constant([1, 2, 2]), tf.constant([3, 2]))
      >>> _ = RowSparseAdam(0.5).apply_gradients([(gradient, table)])
      >>> table.numpy().round(4).tolist()
      [[0.0, 0.0], [-0.5, -0.5], [-0.5, -0.5]]
    """

    def __init__(
        self,
        learning_rate: float = 1e-2,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        row_decay: float = 0.0,
        name: str = "RowSparseAdam",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("jit_compile", False)
        # The base class says 0, and makes a dense pass over each table for it.
        kwargs.setdefault("weight_decay", None)
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.row_decay = row_decay

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Create the moments."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._momentums = [self.add_variable_from_reference(variable, "m") for variable in var_list]
        self._velocities = [self.add_variable_from_reference(variable, "v") for variable in var_list]

    def _deduplicate_sparse_grad(self, gradients: Sequence[Gradient]) -> list[Gradient]:
        """Keras calls this before `update_step`; most batches have but one slice per id, which costs no sum here."""
        return [sum_duplicate_rows(gradient) for gradient in gradients]

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Update one variable."""
        step = tf.cast(self.iterations + 1, variable.dtype)
        correction = tf.sqrt(1 - tf.pow(self.beta_2, step)) / (1 - tf.pow(self.beta_1, step))
        rate = tf.cast(self.learning_rate, variable.dtype) * correction
        index = self._index_dict[self._var_key(variable)]
        first, second = self._momentums[index], self._velocities[index]
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = (
                gradient.indices,
                gradient.values,
            )  # distinct: `apply_gradients` has summed the others
            m = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * values
            v = self.beta_2 * tf.gather(second, rows) + (1 - self.beta_2) * tf.square(values)
            first.scatter_update(tf.IndexedSlices(m, rows))
            second.scatter_update(tf.IndexedSlices(v, rows))
            former = tf.gather(variable, rows)
            change = rate * m / (tf.sqrt(v) + self.epsilon)
            if self.row_decay:
                change += tf.cast(self.learning_rate, variable.dtype) * self.row_decay * former
            # On CPUs, TensorFlow's `scatter_sub` is many times as slow.
            variable.scatter_update(tf.IndexedSlices(former - change, rows))
        else:
            first.assign(self.beta_1 * first + (1 - self.beta_1) * gradient)
            second.assign(self.beta_2 * second + (1 - self.beta_2) * tf.square(gradient))
            variable.assign_sub(rate * first / (tf.sqrt(second) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "row_decay": self.row_decay,
        }
