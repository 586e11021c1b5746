"""`MultiTaskModel`: a Keras model whose task losses GradNorm can balance."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.bad_steps import BadSteps
from tf_e2egrec.training.sparse_gradients import (
    Gradient,
    norm_of,
    spread_overflow,
    subtract,
    sum_duplicate_rows,
)
from tf_e2egrec.training.task_balancer import TaskBalancer

require_keras_2()


class MultiTaskModel(tf.keras.Model):
    """Base class: subclasses give the losses per task, the training step balances and applies them.

    Subclasses implement `task_losses` and `shared_kernel`, and call `set_tasks` in `__init__`; a functional
    model needs no subclass (`MultiOutputModel`). Without a `GradNorm` callback the task weights stay what
    `compile(task_weights=...)` set. With one, every step costs one backward pass of the weighted sum and one
    shallow pass per task but the last, from that task's loss to the shared kernel alone; the last task's
    gradient follows by subtraction. List the task with the deepest path to the kernel last.

    Under `tf.distribute`, the loss of a global batch is the mean of its replicas' losses; gradients, g and L are
    reduced over the replicas. Under mixed precision the loss scale never reaches g or L.

    Example: three tasks that share a layer.
      >>> class Weather(MultiTaskModel):
      ...     def __init__(self):
      ...         super().__init__()
      ...         self.shared = tf.keras.layers.Dense(8, activation="relu")
      ...         self.heads = {name: tf.keras.layers.Dense(1) for name in ("rain", "wind", "frost")}
      ...         self.set_tasks(("rain", "wind", "frost"))
      ...     @property
      ...     def shared_kernel(self):
      ...         return self.shared.kernel
      ...     def task_losses(self, inputs, labels, training):
      ...         hidden = self.shared(inputs)
      ...         return {k: tf.reduce_mean((head(hidden) - labels[k]) ** 2) for k, head in self.heads.items()}
      >>> x = tf.random.stateless_normal((32, 4), seed=(1, 2))
      >>> y = {"rain": x[:, :1], "wind": 10 * x[:, 1:2], "frost": 100 * x[:, 2:3]}
      >>> model = Weather()
      >>> model.compile("adam")
      >>> history = model.fit(x, y, epochs=20, verbose=0, callbacks=[GradNorm(warmup_steps=2)])
      >>> [round(value, 4) for value in [sum(model.balancer.task_weights.numpy().tolist())]]
      [3.0]
    """

    def set_tasks(self, tasks: Sequence[str]) -> None:
        """Create the balancer and the loss trackers; once, in `__init__`."""
        self.balancer = TaskBalancer(tasks, name="task_balancer")
        self.balances_tasks = False  # set by the GradNorm callback before the train function is traced
        self.bad_steps: BadSteps | None = None  # set by the LossGuard callback, likewise
        self._loss_trackers = [tf.keras.metrics.Mean(name=f"{name}_loss") for name in ("total", *tasks)]
        self.embedding_optimizer: tf.keras.optimizers.Optimizer | None = None

    def task_losses(self, inputs: Any, labels: Any, training: bool) -> Mapping[str, tf.Tensor]:
        """Unweighted scalar loss per task, in the order given to `set_tasks`; also updates the compiled
        metrics.
        """
        raise NotImplementedError

    @property
    def shared_kernel(self) -> tf.Variable:
        """W: the weights at which GradNorm compares the tasks' gradients."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Everything that is reset at the start of an epoch."""
        return [*self._loss_trackers, *super().metrics]

    def compile(
        self,
        optimizer: Any = "adam",
        embedding_optimizer: tf.keras.optimizers.Optimizer | None = None,
        task_weights: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training.

        Args:
          optimizer: for every variable that has no other.
          embedding_optimizer: for the tables of `tf.keras.layers.Embedding`; `optimizer` when absent.
          task_weights: initial (without GradNorm: fixed) weight per task; 1 each when absent.
          **kwargs: as for `tf.keras.Model.compile`.
        """
        super().compile(optimizer=optimizer, **kwargs)
        # Metrics are summed over the replicas when they are read; Keras would add up the workers' results once more.
        self.distribute_reduction_method = "first"
        scaling = tf.keras.mixed_precision.LossScaleOptimizer
        if (
            embedding_optimizer is not None
            and self._scales_loss
            and not isinstance(embedding_optimizer, scaling)
        ):
            # Keras wraps the other one alike: a step whose gradients overflow must be left out by both.
            embedding_optimizer = scaling(embedding_optimizer)
            # The loss is scaled once, by `optimizer`; without these calls Keras warns that nobody does it.
            embedding_optimizer.get_scaled_loss(tf.constant(0.0))
            embedding_optimizer.get_unscaled_gradients([])
        self.embedding_optimizer = embedding_optimizer
        if task_weights is not None:
            unknown = set(task_weights) - set(self.balancer.tasks)
            if unknown:
                raise ValueError(
                    f"`task_weights` should name tasks of {self.balancer.tasks}. Received: {sorted(unknown)}"
                )
            self.balancer.task_weights.assign(
                [float(task_weights.get(task, 1.0)) for task in self.balancer.tasks]
            )

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile_from_config` needs after loading."""
        serialize = tf.keras.optimizers.serialize
        sparse = self.embedding_optimizer
        return {
            "optimizer": serialize(self.optimizer),
            "embedding_optimizer": serialize(sparse) if sparse is not None else None,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved model was, with the optimisers' slots ready to be restored."""
        optimizers = {
            name: tf.keras.optimizers.deserialize(value)
            for name, value in config.items()
            if value is not None
        }
        self.compile(**optimizers)
        self.build_optimizers()

    def build_optimizers(self) -> None:
        """Create the optimisers' slots, so that saved ones can be restored; the model's weights must exist."""
        for optimizer, variables in zip(
            self._optimizers(), self._partition(self.trainable_variables), strict=True
        ):
            if optimizer is not None and variables:
                optimizer.build(variables)

    def _optimizers(self) -> tuple[Any, Any]:
        return self.optimizer, self.embedding_optimizer

    def _partition(self, variables: Sequence[tf.Variable]) -> tuple[list[tf.Variable], list[tf.Variable]]:
        """The variables of `optimizer` and those of `embedding_optimizer`."""
        if self.embedding_optimizer is None:
            return list(variables), []
        tables = {
            id(part)
            for layer in self._flatten_layers()
            if isinstance(layer, tf.keras.layers.Embedding)
            # A table that is spread over parameter servers is trained part by part.
            for part in getattr(layer.embeddings, "variables", [layer.embeddings])
        }
        return [v for v in variables if id(v) not in tables], [v for v in variables if id(v) in tables]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step: weighted sum of the losses, its gradients, the balancer's update with the weights of
        before.

        Raises:
          ValueError: sample weights, which a task's loss has no place for.
        """
        inputs, labels = _unpack(data)
        touched = self._touched_by_losses() if self.bad_steps is not None else []
        weights = tf.identity(self.balancer.task_weights)
        with tf.GradientTape(persistent=self.balances_tasks) as tape:
            losses = self.task_losses(inputs, labels, training=True)
            values = tf.stack([tf.cast(losses[task], tf.float32) for task in self.balancer.tasks])
            total = tf.reduce_sum(weights * values)
            penalty = tf.add_n([tf.cast(loss, tf.float32) for loss in self.losses]) if self.losses else None
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            objective = self._scaled((total if penalty is None else total + penalty) / replicas)
            # What the shallow passes start from: every task but the last, and the regularisers.
            shallow = [losses[task] for task in self.balancer.tasks[:-1]]
            shallow += [penalty] if penalty is not None else []
            shallow = [self._scaled(loss) for loss in shallow] if self.balances_tasks else []
        variables = self.trainable_variables
        gradients = self._unscaled(tape.gradient(objective, variables))
        if self.balances_tasks:
            parts = self._unscaled([tape.gradient(loss, self.shared_kernel) for loss in shallow])
        del tape

        def change() -> None:
            if self.balances_tasks:
                self._balance(weights, values, self._kernel_gradient(variables, gradients), parts)
            self._apply(variables, gradients)
            self._track(total, values)

        if self.bad_steps is None:
            change()
        else:
            # An overflow under a scaled loss is no defect: the optimiser leaves such a step out by itself.
            checked = [] if self._scales_loss else zip(variables, gradients, strict=True)
            with tf.init_scope():  # no slot can be created under a condition
                self.build_optimizers()
            self.bad_steps.commit(objective, [(v.name, g) for v, g in checked], change, touched)
        return self._logs()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Losses and metrics of one batch."""
        inputs, labels = _unpack(data)
        losses = self.task_losses(inputs, labels, training=False)
        values = tf.stack([tf.cast(losses[task], tf.float32) for task in self.balancer.tasks])
        self._track(tf.reduce_sum(self.balancer.task_weights * values), values)
        return self._logs()

    def _touched_by_losses(self) -> list[tuple[tf.Variable, tf.Tensor]]:
        """What `task_losses` may change, with its values: metrics and moving averages."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError("Bad steps can be left out with one replica only.")
        variables = [v for metric in self.metrics for v in metric.variables] + self.non_trainable_variables
        return [(v, tf.identity(v)) for v in {id(v): v for v in variables}.values()]

    def _kernel_gradient(self, variables: Sequence[tf.Variable], gradients: Sequence[Gradient]) -> tf.Tensor:
        pairs = zip(variables, gradients, strict=True)
        found = [g for v, g in pairs if v is self.shared_kernel and g is not None]
        if not found:
            raise ValueError("`shared_kernel` should be a trainable variable that the losses depend on.")
        return tf.convert_to_tensor(found[0])

    def _balance(
        self, weights: tf.Tensor, values: tf.Tensor, total: tf.Tensor, parts: Sequence[Gradient]
    ) -> None:
        """Gradient of each task at the shared kernel, averaged over replicas; then the update.

        Args:
          weights: float32 [T], in force in this step.
          values: float32 [T], the losses.
          total: gradient of the weighted sum and the regularisers, over the number of replicas.
          parts: gradients of every task but the last and, where there are any, of the regularisers.
        """
        count = len(self.balancer.tasks)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        gradients = [
            tf.zeros_like(total) if part is None else tf.convert_to_tensor(part)
            for part in parts[: count - 1]
        ]
        rest = subtract(
            total * float(replicas),
            [(weights[i], part) for i, part in enumerate(gradients)]
            + [(tf.constant(1.0), part) for part in parts[count - 1 :]],
        )
        gradients.append(rest / tf.maximum(weights[count - 1], 1e-12))
        context = tf.distribute.get_replica_context()
        if replicas > 1 and context is not None:
            *gradients, values = context.all_reduce(tf.distribute.ReduceOp.MEAN, [*gradients, values])
        self.balancer.update(values, tf.stack([norm_of(gradient) for gradient in gradients]))

    def _apply(self, variables: Sequence[tf.Variable], gradients: Sequence[Gradient]) -> None:
        if self._scales_loss:
            gradients = spread_overflow(gradients)
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        gradient_of = {id(v): g for v, g in zip(variables, gradients, strict=True) if g is not None}
        for optimizer, group in zip(self._optimizers(), self._partition(variables), strict=True):
            pairs = [(gradient_of[id(v)], v) for v in group if id(v) in gradient_of]
            if not pairs:
                continue
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if several:  # two replicas may bring the same row
                pairs = inner.aggregate_gradients(pairs)
            if _clips(inner):  # Keras sums the slices of a row after it has clipped them
                pairs = [(sum_duplicate_rows(gradient), variable) for gradient, variable in pairs]
            optimizer.apply_gradients(pairs, **({"skip_gradients_aggregation": True} if several else {}))

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        return self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss

    def _unscaled(self, gradients: list[Gradient]) -> list[Gradient]:
        return self.optimizer.get_unscaled_gradients(gradients) if self._scales_loss else gradients

    def _track(self, total: tf.Tensor, values: tf.Tensor) -> None:
        for tracker, value in zip(self._loss_trackers, [total, *tf.unstack(values)], strict=True):
            tracker.update_state(value)

    def _logs(self) -> dict[str, tf.Tensor]:
        logs = {metric.name: metric.result() for metric in self.metrics}
        logs["loss"] = logs.pop("total_loss")
        return logs


def _clips(optimizer: Any) -> bool:
    limits = (getattr(optimizer, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm"))
    return any(limit is not None for limit in limits)


def _unpack(data: Any) -> tuple[Any, Any]:
    inputs, labels, sample_weight = tf.keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError(
            "A `MultiTaskModel` takes (inputs, labels): put weights of rows into `labels` and use them in `task_losses`."
        )
    return inputs, labels
