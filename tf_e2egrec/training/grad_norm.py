"""`GradNorm`: the callback that steers the balancing of tasks."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.multi_task_model import MultiTaskModel

require_keras_2()


class GradNorm(tf.keras.callbacks.Callback):
    """Balances the tasks of a `MultiTaskModel` by GradNorm (arXiv 1711.02257).

    The callback owns schedule, freezing, logging and the export of average weights; the update itself runs
    inside the training step, where the gradients are.

    Args:
      gamma: restoring force; 0 only equalises the gradient norms.
      learning_rate: Adam's rate for the task weights.
      warmup_steps: steps that define L(0) as their mean; the weights stand still meanwhile.
      priors: wanted share of the gradient per task, relative to their mean; equal by default.
      freeze_after: stop changing the weights after this many epochs of the run.

    Raises:
      ValueError: when it is given to a model that is no `MultiTaskModel`, or a prior names no task.
    """

    def __init__(
        self,
        gamma: float = 1.0,
        learning_rate: float = 0.025,
        warmup_steps: int = 50,
        priors: Mapping[str, float] | None = None,
        freeze_after: int | None = None,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.priors = dict(priors or {})
        self.freeze_after = freeze_after
        self.history: list[dict[str, float]] = []

    def set_model(self, model: tf.keras.Model) -> None:
        """Switch the model's training step to balanced mode."""
        if not isinstance(model, MultiTaskModel):
            raise ValueError(f"`GradNorm` needs a MultiTaskModel. Received: {type(model).__name__}")
        super().set_model(model)
        balancer = model.balancer
        unknown = set(self.priors) - set(balancer.tasks)
        if unknown:
            raise ValueError(f"`priors` should name tasks of {balancer.tasks}. Received: {sorted(unknown)}")
        balancer.gamma.assign(self.gamma)
        balancer.learning_rate.assign(self.learning_rate)
        balancer.warmup_steps.assign(self.warmup_steps)
        balancer.priors.assign([self.priors.get(task, 1.0) for task in balancer.tasks])
        if not model.balances_tasks:
            model.balances_tasks = True
            model.train_function = None  # a step traced without balancing would go on without it

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the model as it was: a later `fit` without the callback keeps the weights fixed."""
        self.model.balances_tasks = False
        self.model.train_function = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log w, g, r and L / L(0) per task; freeze when it is time."""
        balancer = self.model.balancer
        weights = balancer.task_weights.numpy()
        gradient_norms, inverse_rates, ratios = balancer.statistics.numpy()
        values = {}
        for i, task in enumerate(balancer.tasks):
            values[f"task_weight/{task}"] = float(weights[i])
            values[f"gradient_norm/{task}"] = float(gradient_norms[i])
            values[f"inverse_rate/{task}"] = float(inverse_rates[i])
            values[f"loss_ratio/{task}"] = float(ratios[i])
        self.history.append(values)
        if logs is not None:
            logs.update(values)
        if self.freeze_after is not None and epoch + 1 >= self.freeze_after:
            balancer.learning_rate.assign(0.0)

    def mean_weights(self) -> dict[str, float]:
        """Time-averaged task weights, for `compile(task_weights=...)` in a rerun with fixed ones."""
        return dict(
            zip(
                self.model.balancer.tasks, map(float, self.model.balancer.mean_weights().numpy()), strict=True
            )
        )
