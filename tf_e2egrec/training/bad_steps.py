"""`BadSteps`: leaves training steps without effect whose loss or gradients are not finite."""

from collections.abc import Callable, Iterable

import tensorflow as tf

from tf_e2egrec.training.sparse_gradients import Gradient


class BadSteps:
    """What a training step asks before it changes anything that lasts.

    A plain object, so that Keras saves no variable of it with the model.

    Attributes:
      count: int64 scalar, steps that were left out.

    Example:
      >>> weight, bad = tf.Variable(1.0), BadSteps()
      >>> for gradient in (0.5, float("nan")):
      ...     found = tf.constant(gradient)
      ...     bad.commit(tf.constant(2.0), [("weight", found)], lambda: weight.assign_sub(found))
      >>> weight.numpy().item(), bad.count.numpy().item(), bad.culprit
      (0.5, 1, 'the gradient of `weight`')
    """

    def __init__(self) -> None:
        self.count = tf.Variable(0, trainable=False, dtype=tf.int64, name="bad_steps")
        self._place = tf.Variable(0, trainable=False, dtype=tf.int64, name="bad_place")
        self._names: list[str] = []

    @property
    def culprit(self) -> str:
        """What was not finite in the last step that was left out."""
        return self._names[int(self._place.numpy())]

    def commit(
        self,
        loss: tf.Tensor,
        gradients: Iterable[tuple[str, Gradient]],
        change: Callable[[], object],
        touched: Iterable[tuple[tf.Variable, tf.Tensor]] = (),
    ) -> None:
        """Change what a sound step changes; otherwise put back what the step has touched, and count it.

        Args:
          loss: float scalar.
          gradients: each with its variable's name; None where there is none.
          change: applies the gradients and notes the losses.
          touched: variables that the step has changed before its gradients were known (metrics), with their former values.
        """
        checked = [("the loss", loss)]
        checked += [
            (f"the gradient of `{name}`", getattr(gradient, "values", gradient))  # of an embedding table's
            for name, gradient in gradients
            if gradient is not None
        ]
        self._names = [name for name, _ in checked]
        is_bad = tf.stack([tf.logical_not(tf.reduce_all(tf.math.is_finite(value))) for _, value in checked])

        def left_out() -> tf.Tensor:
            for variable, former in touched:
                variable.assign(former)
            self._place.assign(tf.argmax(tf.cast(is_bad, tf.int32)))
            self.count.assign_add(1)
            return tf.constant(True)

        def done() -> tf.Tensor:
            change()
            return tf.constant(False)

        tf.cond(tf.reduce_any(is_bad), left_out, done)
