"""`TaskBalancer`: the state of GradNorm and its update in closed form."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()

LOWEST_WEIGHT = 0.01
_ADAM_BETAS = (0.9, 0.999)


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class TaskBalancer(tf.keras.layers.Layer):
    """Task weights w, their optimiser's slots, and the initial losses: saved with the model, never trained by
    its optimiser.

    GradNorm (arXiv 1711.02257): with g_i = ||grad_W L_i||, G_i = w_i g_i, r_i = (L_i / L_i(0)) / mean_j (L_j
    / L_j(0)), minimise ``sum_i |G_i - stop(mean G * r_i ** gamma)|`` over w. Its gradient is ``sign(G_i -
    target_i) * g_i``, so no second-order derivative is needed. One Adam step per call, then w is clipped and
    scaled so that it sums to the number of tasks.

    Args:
      tasks: names, in the order of every vector here.

    Attributes:
      task_weights: float32 [T], the w in force.
      initial_losses: float32 [T], L(0): the mean over the warm-up steps.
      statistics: float32 [3, T], the last g, r and L / L(0), for logging.
      freeze_at: int64, the step after which w stands still; -1: never.

    Example: the task with the smaller gradient gains weight.
      >>> balancer = TaskBalancer(["click", "stay"])
      >>> _ = balancer.learning_rate.assign(0.1)
      >>> balancer.update(losses=tf.constant([1.0, 1.0]), gradient_norms=tf.constant([0.1, 4.0]))
      >>> [round(weight, 2) for weight in balancer.task_weights.numpy().tolist()]
      [1.1, 0.9]
    """

    def __init__(self, tasks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"trainable": False, "dtype": "float32"}))
        self.tasks = tuple(tasks)
        count = len(self.tasks)
        self.task_weights = self._state("task_weights", (count,), "ones")
        self.initial_losses = self._state("initial_losses", (count,), "zeros")
        self.slots = self._state("slots", (2, count), "zeros")
        self.weight_sum = self._state("weight_sum", (count,), "zeros")
        self.statistics = self._state("statistics", (3, count), "zeros")
        self.steps = self._state("steps", (), "zeros", tf.int64)
        # The schedule, set by the `GradNorm` callback.
        self.gamma = self._state("gamma", (), "ones")
        self.learning_rate = self._state("learning_rate", (), "zeros")
        self.warmup_steps = self._state("warmup_steps", (), "zeros", tf.int64)
        self.priors = self._state("priors", (count,), "ones")
        self.freeze_at = self._state("freeze_at", (), tf.keras.initializers.Constant(-1), tf.int64)

    def _state(
        self, name: str, shape: tuple[int, ...], initializer: Any, dtype: tf.DType = tf.float32
    ) -> tf.Variable:
        # All replicas hold the same value, because what they are updated with was all-reduced.
        return self.add_weight(
            name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            synchronization=tf.VariableSynchronization.AUTO,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def update(self, losses: tf.Tensor, gradient_norms: tf.Tensor) -> None:
        """Take one step.

        Args:
          losses: float32 [T], unweighted.
          gradient_norms: float32 [T], g_i.
        """
        step = self.steps + 1
        warming = step <= self.warmup_steps
        frozen = (self.freeze_at >= 0) & (step > self.freeze_at)
        is_sound = tf.reduce_all(tf.math.is_finite(losses))
        self.steps.assign(step)
        share = 1.0 / tf.cast(tf.maximum(step, 1), tf.float32)
        self.initial_losses.assign(
            tf.where(
                warming & is_sound,
                self.initial_losses + share * (losses - self.initial_losses),
                self.initial_losses,
            )
        )
        initial = tf.where(self.initial_losses > 0, self.initial_losses, tf.maximum(losses, 1e-12))
        ratio = losses / initial
        inverse_rate = ratio / tf.reduce_mean(ratio)
        gradient = grad_norm_gradient(
            self.task_weights, gradient_norms, inverse_rate, self.gamma, self.priors
        )
        self.statistics.assign(tf.stack([gradient_norms, inverse_rate, ratio]))
        weights, slots = self._adam_step(gradient, tf.maximum(step - self.warmup_steps, 1))
        usable = ~warming & ~frozen & is_sound & tf.reduce_all(tf.math.is_finite(gradient))
        self.slots.assign(tf.where(usable, slots, self.slots))
        self.task_weights.assign(tf.where(usable, renormalise(weights), self.task_weights))
        self.weight_sum.assign_add(tf.where(warming, tf.zeros_like(weights), self.task_weights))

    def _adam_step(self, gradient: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        beta_1, beta_2 = _ADAM_BETAS
        m = beta_1 * self.slots[0] + (1 - beta_1) * gradient
        v = beta_2 * self.slots[1] + (1 - beta_2) * tf.square(gradient)
        exponent = tf.cast(step, tf.float32)
        corrected_m, corrected_v = m / (1 - beta_1**exponent), v / (1 - beta_2**exponent)
        return self.task_weights - self.learning_rate * corrected_m / (tf.sqrt(corrected_v) + 1e-8), tf.stack(
            [m, v]
        )

    def values(self) -> dict[str, float]:
        """w, g, r and L / L(0) of the last step, as `task_weight/<task>`, `gradient_norm/<task>`, `inverse_rate/<task>`
        and `loss_ratio/<task>`.
        """
        rows = [self.task_weights.numpy(), *self.statistics.numpy()]
        names = ("task_weight", "gradient_norm", "inverse_rate", "loss_ratio")
        return {
            f"{name}/{task}": float(row[i])
            for i, task in enumerate(self.tasks)
            for name, row in zip(names, rows, strict=True)
        }

    def mean_weights(self) -> tf.Tensor:
        """Time average of w since the warm-up, for a rerun with fixed weights; float32 [T]."""
        steps = tf.cast(tf.maximum(self.steps - self.warmup_steps, 0), tf.float32)
        return tf.where(steps > 0, self.weight_sum / tf.maximum(steps, 1.0), self.task_weights)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"tasks": self.tasks}


def grad_norm_gradient(
    weights: tf.Tensor,
    gradient_norms: tf.Tensor,
    inverse_rate: tf.Tensor,
    gamma: tf.Tensor | float,
    priors: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """d L_grad / d w in closed form: ``sign(w_i g_i - target_i) * g_i`` with ``target_i = mean(w g) * r_i **
    gamma`` held constant.

    Args:
      weights, gradient_norms, inverse_rate: float32 [T]: w, g, r.
      gamma: the restoring force.
      priors: float32 [T], the share of the gradient each task should have, relative to their mean; equal
        shares by default.

    Returns:
      float32 [T].

    Example:
      >>> grad_norm_gradient(tf.ones(2), tf.constant([1.0, 3.0]), tf.ones(2), 1.0).numpy().tolist()
      [-1.0, 3.0]
    """
    scaled = weights * gradient_norms
    shares = tf.convert_to_tensor(priors, tf.float32) * tf.ones_like(scaled)
    target = tf.reduce_mean(scaled) * tf.pow(inverse_rate, gamma) * shares / tf.reduce_mean(shares)
    return tf.sign(scaled - target) * gradient_norms


def renormalise(weights: tf.Tensor) -> tf.Tensor:
    """Clip the weights to [0.01, T - 0.01] and scale them to sum to the number of tasks T; float32 [T]."""
    count = tf.cast(tf.size(weights), weights.dtype)
    clipped = tf.clip_by_value(weights, LOWEST_WEIGHT, count - LOWEST_WEIGHT)
    return count * clipped / tf.reduce_sum(clipped)
