"""`LossGuard`: stops a training whose loss is not finite or explodes, and says at which batch."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.bad_steps import BadSteps
from tf_e2egrec.training.diverged_training_error import DivergedTrainingError
from tf_e2egrec.training.multi_task_model import MultiTaskModel

require_keras_2()

BatchAt = Callable[[int, int], Any]
_MEND = (
    "mend the data, or lower `training.learning_rate` and `training.embedding_learning_rate`, and train again"
)


class LossGuard(tf.keras.callbacks.Callback):
    """Raises at the first step whose loss is not finite, or many times the first one.

    It stands before `Checkpoints` in the list, so that no state after that step is saved: the run can go on from the last
    checkpoint once data or learning rate are mended.

    Args:
      label: what is being trained, for the sentence.
      batch_at: from (epoch, step), both from 0, to the (inputs, labels) of that step once more; without it, the sentence
        names no batch.
      identify: what the sentence calls the inputs of a batch, such as a digest of its ids.
      growth: a loss is taken to explode beyond this many times the first step's, or this where the first is below 1.
      skip: leave out up to so many steps of a `MultiTaskModel` whose loss or gradients are not finite: weights, optimisers and
        metrics stay as they were before such a step. An explosion to finite numbers still stops.
      skipped: the steps that were left out before, in a run that goes on; longer by each new one.
      warn: takes a sentence about each step that is left out.

    Raises:
      ValueError: `skip` with another model, or with several replicas.
      DivergedTrainingError: from `fit`; the sentence names epoch, step, batch, and the tensor that is not finite: the first input or
        label that holds an infinity (NaN means missing), else the first such loss and the first such weights.

    Example:
      >>> x = tf.constant([[1.0], [float("inf")]])
      >>> model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
      >>> model.compile("sgd", "mse")
      >>> guard = LossGuard("a line", batch_at=lambda epoch, step: (x[step : step + 1], x[:1]))
      >>> data = tf.data.Dataset.from_tensor_slices((x, x)).batch(1)
      >>> try:
      ...     history = model.fit(data, verbose=0, callbacks=[guard])
      ... except DivergedTrainingError as error:
      ...     print(str(error).partition(" at ")[2].partition(";")[0])
      epoch 1, step 2: inputs holds an infinity in 1 of 1 rows
    """

    def __init__(
        self,
        label: str,
        batch_at: BatchAt | None = None,
        identify: Callable[[Any], str] | None = None,
        growth: float = 1e4,
        skip: int = 0,
        skipped: list[dict[str, Any]] | None = None,
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        super().__init__()
        self.skipped = skipped if skipped is not None else []
        self._skip, self._warn = skip, warn
        self._label, self._batch_at, self._growth = label, batch_at, growth
        self._identify = identify or (lambda inputs: "")
        self._first: float | None = None

    def set_model(self, model: tf.keras.Model) -> None:
        """Have the model leave bad steps out, where that is wanted."""
        super().set_model(model)
        if self._skip == 0:
            return
        if not isinstance(model, MultiTaskModel):
            raise ValueError(f"`skip` needs a MultiTaskModel. Received: {type(model).__name__}")
        self._bad, self._noticed = BadSteps(), 0
        model.bad_steps = self._bad
        model.train_function = None  # a step traced without it would go on without it

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the model as it was."""
        if self._skip:
            self.model.bad_steps = None
            self.model.train_function = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A new mean begins."""
        self._epoch, self._before = epoch, (0, 0.0)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss of the step, which Keras shows as the mean over the epoch."""
        if self._skip and int(self._bad.count.numpy()) > self._noticed:
            self._noticed += 1
            self._note_skipped(batch)
            return
        mean = float((logs or {}).get("loss", 0.0))
        count, former = self._before
        done = batch + 1 - sum(one["epoch"] == self._epoch + 1 for one in self.skipped)
        self._before = (done, mean)
        loss = done * mean - count * former if count == done - 1 else mean
        if self._first is None and math.isfinite(loss):
            self._first = loss
        if math.isfinite(loss) and abs(loss) <= self._growth * max(1.0, abs(self._first or 0.0)):
            return
        raise DivergedTrainingError(self._sentence(batch, loss, logs or {}))

    def _note_skipped(self, batch: int) -> None:
        """Count a step that had no effect; one too many stops the run."""
        found, identity = None, ""
        if self._batch_at is not None:
            inputs, labels = self._batch_at(self._epoch, batch)
            found, identity = _infinite({"inputs": inputs, "labels": labels}), self._identify(inputs)
        place = f"epoch {self._epoch + 1}, step {batch + 1} {identity}".rstrip()
        culprit = found or f"{self._bad.culprit} is not finite"
        if len(self.skipped) >= self._skip:
            raise DivergedTrainingError(
                f"{self._label} has met {self._skip + 1} bad batches, one more than `training.skip_bad_batches` allows, the last at "
                f"{place}: {culprit}; the last checkpoint before it is kept: {_MEND}"
            )
        self.skipped.append(
            {"epoch": self._epoch + 1, "step": batch + 1, "batch": identity, "reason": culprit}
        )
        self._warn(
            f"{self._label} leaves out {place}: {culprit} ({len(self.skipped)} of at most {self._skip})"
        )

    def _sentence(self, batch: int, loss: float, logs: Mapping[str, Any]) -> str:
        place, culprit = f"epoch {self._epoch + 1}, step {batch + 1}", ""
        # A gradient that is not finite shows in the loss one step later.
        for step in (batch, batch - 1):
            if self._batch_at is None or step < 0:
                break
            inputs, labels = self._batch_at(self._epoch, step)
            if step == batch:
                place += f" {self._identify(inputs)}".rstrip()
            found = _infinite({"inputs": inputs, "labels": labels})
            if found is not None:
                before = (
                    "" if step == batch else f"in the step before {self._identify(inputs)}".rstrip() + ", "
                )
                culprit = f"{before}{found}"
                break
        return (
            f"the loss of {self._label} is {loss:.4g} at {place}: {culprit or self._not_finite(logs)}; the last checkpoint before it "
            f"is kept: {_MEND}"
        )

    def _not_finite(self, logs: Mapping[str, Any]) -> str:
        losses = [name for name, value in logs.items() if name != "loss" and not math.isfinite(float(value))]
        weights = [one.name for one in self.model.weights if one.dtype.is_floating and not _is_finite(one)]
        parts = [f"`{losses[0]}` is not finite"] if losses else []
        parts += [f"the weights `{weights[0]}` are not finite"] if weights else []
        return " and ".join(parts) or "it explodes, every input is finite"


def _is_finite(values: Any) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(values)))


def _infinite(structure: Any) -> str | None:
    """The first floating-point tensor of a structure that holds an infinity."""
    for name, tensor in named_tensors(structure):
        if not tensor.dtype.is_floating:
            continue
        rows = (
            tf.reshape(tensor, [tf.shape(tensor)[0], -1]) if tensor.shape.rank else tf.reshape(tensor, [1, 1])
        )
        bad = int(np.asarray(tf.reduce_any(tf.math.is_inf(rows), axis=1)).sum())
        if bad:
            return f"{name} holds an infinity in {bad} of {int(tf.shape(rows)[0])} rows"
    return None


def named_tensors(structure: Any, name: str = "") -> Iterator[tuple[str, tf.Tensor]]:
    """The tensors of nested mappings, sequences and GraphTensors, with names such as `inputs/item/price`.

    Args:
      structure: what `fit` takes as inputs or labels.
      name: what its own name starts with.
    """
    if hasattr(structure, "node_sets"):  # a GraphTensor
        for pieces in (structure.node_sets, structure.edge_sets):
            for set_name in sorted(pieces):
                yield from named_tensors(dict(pieces[set_name].features), f"{name}/{set_name}")
    elif isinstance(structure, Mapping):
        for key in structure:
            yield from named_tensors(structure[key], f"{name}/{key}".lstrip("/"))
    elif isinstance(structure, list | tuple):
        for place, part in enumerate(structure):
            yield from named_tensors(part, f"{name}/{place}")
    elif structure is not None:
        tensor = getattr(structure, "flat_values", structure)  # of a ragged tensor
        yield name, tf.convert_to_tensor(tensor)
