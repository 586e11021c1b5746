"""`GradNorm`: the callback that steers the balancing of tasks."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.multi_task_model import MultiTaskModel
from tf_e2egrec.training.task_balancer import renormalise

require_keras_2()

_UNITS = ("epochs", "steps", "fraction")


class GradNorm(tf.keras.callbacks.Callback):
    """Balances the tasks of a `MultiTaskModel` by GradNorm (arXiv 1711.02257).

    The callback owns schedule, freezing, logging and the export of average weights; the update itself runs
    inside the training step, where the gradients are. At the end of each epoch w, g, r and L / L(0) go into
    `logs` as `task_weight/<task>`, `gradient_norm/<task>`, `inverse_rate/<task>` and `loss_ratio/<task>`: a
    TensorBoard callback that stands behind this one in the list shows them.

    Args:
      gamma: restoring force; 0 only equalises the gradient norms.
      learning_rate: Adam's rate for the task weights.
      warmup_steps: steps that define L(0) as their mean; the weights stand still meanwhile.
      priors: wanted share of the gradient per task, relative to their mean; equal by default. The weights start in
        proportion to them, unless `compile` set others: from equal ones, a task of small prior would rule until GradNorm
        has brought its weight down, which a short training does not get over.
      freeze_after: stop changing the weights after so many `freeze_unit`s of the run; None: never.
      freeze_unit: `epochs`, `steps` (warm-up included) or `fraction` of the run's steps (of its epochs, where
        Keras does not know how many steps an epoch has).

    Raises:
      ValueError: an impossible schedule; a model that is no `MultiTaskModel`; a prior that names no task.

    Example:
      >>> balance = GradNorm(gamma=1.5, freeze_after=0.5, freeze_unit="fraction")
      >>> balance.freeze_unit
      'fraction'
    """

    def __init__(
        self,
        gamma: float = 1.0,
        learning_rate: float = 0.025,
        warmup_steps: int = 50,
        priors: Mapping[str, float] | None = None,
        freeze_after: float | None = None,
        freeze_unit: Literal["epochs", "steps", "fraction"] = "epochs",
    ) -> None:
        super().__init__()
        if freeze_unit not in _UNITS:
            raise ValueError(f"`freeze_unit` should be one of {_UNITS}. Received: {freeze_unit!r}")
        if freeze_after is not None and (
            freeze_after < 0 or (freeze_unit == "fraction" and freeze_after > 1)
        ):
            raise ValueError(
                f"`freeze_after` should be positive, and at most 1 as a fraction. Received: {freeze_after}"
            )
        self.gamma = gamma
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.priors = dict(priors or {})
        self.freeze_after = freeze_after
        self.freeze_unit = freeze_unit
        self.history: list[dict[str, float]] = []
        self._first_step = 0

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
        priors = tf.constant([self.priors.get(task, 1.0) for task in balancer.tasks])
        balancer.priors.assign(priors)
        is_new = int(balancer.steps.numpy()) == 0 and bool(tf.reduce_all(balancer.task_weights == 1.0))
        if is_new:
            balancer.task_weights.assign(renormalise(priors / tf.reduce_mean(priors)))
        balancer.freeze_at.assign(-1)
        if not model.balances_tasks:
            model.balances_tasks = True
            model.train_function = None  # a step traced without balancing would go on without it

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start counting the run's steps; those of an earlier `fit` do not count."""
        self._first_step = int(self.model.balancer.steps.numpy())

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the model as it was: a later `fit` without the callback keeps the weights fixed."""
        self.model.balances_tasks = False
        self.model.train_function = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Freeze where the schedule says so; from within an epoch, the training step does it by itself."""
        balancer = self.model.balancer
        if self.freeze_after is None or int(balancer.freeze_at.numpy()) >= 0:
            return
        run = {name: self.params.get(name) for name in ("epochs", "steps")}
        step: float | None = None
        if self.freeze_unit == "steps":
            step = self._first_step + self.freeze_after
        elif self.freeze_unit == "fraction" and run["steps"]:
            step = self._first_step + self.freeze_after * run["epochs"] * run["steps"]
        elif epoch >= self.freeze_after * (run["epochs"] if self.freeze_unit == "fraction" else 1):
            step = float(balancer.steps.numpy())
        if step is not None:
            balancer.freeze_at.assign(math.floor(step))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log w, g, r and L / L(0) per task."""
        values = self.model.balancer.values()
        self.history.append(values)
        if logs is not None:
            logs.update(values)

    def mean_weights(self) -> dict[str, float]:
        """Time-averaged task weights, for `compile(task_weights=...)` in a rerun with fixed ones."""
        balancer = self.model.balancer
        return dict(zip(balancer.tasks, map(float, balancer.mean_weights().numpy()), strict=True))

    def export(self, path: str | Path) -> None:
        """Write the time-averaged task weights as JSON, for a rerun with fixed ones.

        The file holds `task_weights` (averages since the warm-up), `last_task_weights`, `initial_losses` (L(0))
        and `steps`. Rerun with ``model.compile(..., task_weights=json.load(file)["task_weights"])`` and without
        this callback.
        """
        balancer = self.model.balancer

        def by_task(values: tf.Variable) -> dict[str, float]:
            return dict(zip(balancer.tasks, map(float, values.numpy()), strict=True))

        content = {
            "task_weights": self.mean_weights(),
            "last_task_weights": by_task(balancer.task_weights),
            "initial_losses": by_task(balancer.initial_losses),
            "steps": int(balancer.steps.numpy()),
        }
        Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def get_state(self) -> dict[str, Any]:
        """What `Checkpoints` keeps of this callback, beside the model's own variables."""
        return {"history": self.history, "first_step": self._first_step}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `get_state`."""
        self.history, self._first_step = list(state["history"]), int(state["first_step"])
