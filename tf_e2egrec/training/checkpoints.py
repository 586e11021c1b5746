"""`Checkpoints`: an interrupted run goes on where it stopped."""

import contextlib
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.saved_state import SavedState

require_keras_2()

_KEPT = 2


class Checkpoints(tf.keras.callbacks.Callback):
    """Saves everything that a run depends on every so many steps and at the start of each epoch, and restores it.

    Kept are the model's weights, the slots of its optimisers, task weights and L(0), metrics, the state of random
    generators, epoch and step, `History`, and the state of other callbacks. Keras's `BackupAndRestore` keeps the first
    two alone. A resumed run equals an uninterrupted one if the data of an epoch are a function of its number
    (`epoch_dataset`) and layers draw from generators of their own (`Dropout(..., force_generator=True)`): TensorFlow
    cannot save the state of its global generator.

    The last two are kept, each with the checksums of its files: where the newest is damaged, the one before is used, and
    the rest of the run is the same as if the newest had never been.

    This callback stands first in the list. It costs two copies of weights and slots on disk (beside the weights of the
    best epochs, where an `EarlyStopping` keeps them).

    Args:
      directory: where the checkpoint is; it appears with the first one.
      fingerprint: of what the run depends on; a checkpoint of another fingerprint is removed.
      every: steps between checkpoints within an epoch.
      callbacks: whose state to keep, in the same order as in the run that is resumed: `EarlyStopping`, and those with
        `get_state()` (JSON) and `set_state(state)`.
      warn: takes a sentence about each damaged checkpoint.

    Attributes:
      start: (epoch, steps of that epoch that are done); (0, 0) without a checkpoint.
      note: JSON that the run keeps with its checkpoints; restored at once.
      is_foreign: whether a checkpoint of another fingerprint was found, and removed.

    Raises:
      ValueError: `fit` does not know `steps_per_epoch`.

    Example:
      >>> import tempfile
      >>> x = tf.reshape(tf.range(8.0), (8, 1))
      >>> def batches(seed):
      ...     return tf.data.Dataset.from_tensor_slices((x, x)).shuffle(8, seed=seed).batch(2)
      >>> model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
      >>> model.compile("adam", "mse")
      >>> checkpoints = Checkpoints(tempfile.mkdtemp(), "version 1", every=2)
      >>> data = epoch_dataset(batches, seed=0, epochs=2, start=checkpoints.start)
      >>> history = model.fit(data, epochs=2, steps_per_epoch=4, callbacks=[checkpoints], verbose=0)
      >>> Checkpoints(checkpoints.directory, "version 1").start  # the last one was saved amid the second epoch
      (1, 2)
    """

    def __init__(
        self,
        directory: str | Path,
        fingerprint: str,
        every: int = 500,
        callbacks: Sequence[tf.keras.callbacks.Callback] = (),
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.fingerprint = fingerprint
        self.every = every
        self.callbacks = list(callbacks)
        self.start = (0, 0)
        self.note: dict[str, Any] = {}
        self.is_foreign = False
        self._good = self._read(warn)
        self._state = self._good[-1].content if self._good else {}
        if self._state and self._state["fingerprint"] != fingerprint:
            self.is_foreign, self._state = True, {}
            self.remove()
        if self._state:
            self.start = (self._state["epoch"], self._state["step"])
            self.note = self._state["note"]

    def __enter__(self) -> Self:
        """Guard the whole work: the checkpoint goes when the block ends, and stays when it raises."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not SavedState.found_in(self.directory):
            self.remove()

    def remove(self) -> None:
        """Remove the checkpoint: the run is over, or unwanted."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self._good = []

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restore the model and tell Keras where to start."""
        if not self.params.get("steps"):
            raise ValueError("`Checkpoints` needs `fit(steps_per_epoch=...)` to know where an epoch ends.")
        self._pending = bool(self._state)
        self._last = self.start
        if self._pending:
            self._checkpoint().read(self._good[-1].prefix).assert_existing_objects_matched()
            self.model._training_state = _Start(self.model, self.start)  # as Keras's BackupAndRestore does

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the epoch that has just ended, or finish the restoring: Keras has reset metrics and callbacks since."""
        self._epoch = epoch
        if self._pending:
            self._pending = False
            self._checkpoint().read(self._good[-1].prefix).assert_existing_objects_matched()
            self._set_callback_states()
        elif epoch > 0:
            self._save(epoch, 0)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save when enough steps are done, but not at the end of an epoch: its validation is still to come."""
        step = batch + 1
        since = step - (self._last[1] if self._last[0] == self._epoch else 0)
        if since >= self.every and step < self.params["steps"]:
            self._save(self._epoch, step)

    def _checkpoint(self) -> tf.train.Checkpoint:
        if hasattr(self.model, "build_optimizers"):
            self.model.build_optimizers()
        else:
            self.model.optimizer.build(self.model.trainable_variables)
        return tf.train.Checkpoint(
            model=self.model,
            optimizers=[
                optimizer
                for optimizer in (self.model.optimizer, getattr(self.model, "embedding_optimizer", None))
                if optimizer is not None
            ],
            train_counter=self.model._train_counter,
            generators=_generators(self.model),
        )

    def _save(self, epoch: int, step: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        number = epoch * int(self.params["steps"]) + step
        saved = SavedState(self.directory, number)
        callbacks = [self._callback_state(i) for i in range(len(self.callbacks))]
        self._checkpoint().write(saved.prefix)
        # Written last: until then, the former checkpoint counts.
        saved.write(
            {
                "fingerprint": self.fingerprint,
                "epoch": epoch,
                "step": step,
                "note": self.note,
                "history": {"epoch": self.model.history.epoch, "values": self.model.history.history},
                "callbacks": callbacks,
            },
            [state["best_weights"] for state in callbacks if "best_weights" in state],
        )
        self._last = (epoch, step)
        self._good = [*(one for one in self._good if one.number != number), saved][-_KEPT:]
        needed = {name for one in self._good for name in one.files()}
        for pattern in ("state-*", ".state-*", "ckpt-*", "best-*"):
            for found in self.directory.glob(pattern):
                if found.name not in needed:
                    _remove(found)

    def _callback_state(self, position: int) -> dict[str, Any]:
        callback = self.callbacks[position]
        if not isinstance(callback, tf.keras.callbacks.EarlyStopping):
            return callback.get_state()
        state = {name: getattr(callback, name) for name in ("wait", "stopped_epoch", "best", "best_epoch")}
        if callback.best_weights is not None:
            state["best_weights"] = f"best-{position}-{callback.best_epoch}.npz"
            path = self.directory / state["best_weights"]
            if not any(path.name in one.files() for one in self._good):
                np.savez(path.with_suffix(".partial.npz"), *callback.best_weights)
                path.with_suffix(".partial.npz").replace(path)
        return state

    def _set_callback_states(self) -> None:
        self.model.history.epoch = list(self._state["history"]["epoch"])
        self.model.history.history = dict(self._state["history"]["values"])
        for callback, state in zip(self.callbacks, self._state["callbacks"], strict=True):
            if isinstance(callback, tf.keras.callbacks.EarlyStopping):
                weights = state.pop("best_weights", None)
                for name, value in state.items():
                    setattr(callback, name, value)
                if weights is not None:
                    with np.load(self.directory / weights) as arrays:
                        callback.best_weights = [arrays[name] for name in arrays.files]
            else:
                callback.set_state(state)

    def _read(self, warn: Callable[[str], object]) -> list[SavedState]:
        """The checkpoints that can be used, the newest last; says which cannot."""
        good = []
        for saved in SavedState.found_in(self.directory):
            defect = saved.read()
            if defect is None:
                good.append(saved)
            else:
                warn(
                    f"the checkpoint {saved.path} is damaged ({defect}) and left out; the run goes on from an older state"
                )
        return good


class _Start:
    """What `Model.fit` asks where to start, once."""

    def __init__(self, model: tf.keras.Model, start: tuple[int, int]) -> None:
        self._model, self._start = model, start

    def maybe_load_initial_counters_from_ckpt(self, *_: Any, **__: Any) -> tuple[int, int]:
        """(epoch, step)."""
        self._model._training_state = None
        return self._start


def _generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """The generators of layers that have their own (Dropout and its like), in the order of the layers."""
    found = [getattr(layer, "_random_generator", None) for layer in model._flatten_layers()]
    states = [getattr(generator, "_generator", None) for generator in found]
    return [state for state in states if state is not None]


def _remove(path: Path) -> None:
    """A file, or the folder of a checkpoint that was cut short; gone already is as good."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
