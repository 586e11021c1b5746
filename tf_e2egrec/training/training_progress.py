"""`TrainingProgress`: a progress bar for `Model.fit`."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class TrainingProgress(tf.keras.callbacks.Callback):
    """Shows steps, time left, and each epoch's loss and last measurement.

    Args:
      label: what is being trained.
      steps_per_epoch: training batches per epoch.
      monitor: the name of the measurement in the logs; an epoch may be without one.
      title: what the measurement is called.
      console: where; the terminal by default.
    """

    def __init__(
        self,
        label: str,
        steps_per_epoch: int,
        monitor: str = "val_auc",
        title: str = "valid AUC",
        console: Console | None = None,
    ) -> None:
        super().__init__()
        self._monitor, self._title, self._seen = monitor, title, ""
        self._label = label
        self._steps = steps_per_epoch
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Show the bar."""
        self._completed = 0
        self._task = self._progress.add_task(self._label, total=self._steps * self.params["epochs"])
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Know where the epoch begins: a run that goes on after an interruption starts late in the bar."""
        self._completed = self._steps * epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Advance by a step."""
        self._progress.update(self._task, completed=self._completed + batch + 1)

    def warn(self, sentence: str) -> None:
        """Show a warning above the bar."""
        self._progress.console.print(f"warning: {sentence}", style="yellow", markup=False, soft_wrap=True)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Show the loss and the measurement."""
        logs = logs or {}
        if self._monitor in logs:
            self._seen = f", {self._title} {logs[self._monitor]:.4f}"
        self._completed = self._steps * (epoch + 1)
        self._progress.update(
            self._task,
            completed=self._completed,
            description=f"{self._label}  epoch {epoch + 1}: loss {logs.get('loss', float('nan')):.4f}{self._seen}",
        )

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the last state on the screen; after an early stop, what was trained is the whole."""
        self._progress.update(self._task, total=self._completed)
        self._progress.stop()
