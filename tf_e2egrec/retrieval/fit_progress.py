"""`FitProgress`: a progress bar for the training of a recommender."""

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


class FitProgress(tf.keras.callbacks.Callback):
    """Shows steps, time left, the loss and the last measurement.

    Args:
      label: what is being trained.
      steps_per_epoch: batches per epoch.
      monitor: the measurement that is shown.
      console: where.
    """

    def __init__(self, label: str, steps_per_epoch: int, monitor: str, console: Console) -> None:
        super().__init__()
        self._label, self._steps, self._monitor, self._seen = label, steps_per_epoch, monitor, ""
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        self._progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Show the bar."""
        self._done = 0
        self._task = self._progress.add_task(self._label, total=self._steps * self.params["epochs"])
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Know where the epoch begins."""
        self._done = self._steps * epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Advance to a step."""
        self._progress.update(self._task, completed=self._done + batch + 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Show the loss and the measurement."""
        logs = logs or {}
        self._done = self._steps * (epoch + 1)
        if f"val_{self._monitor}" in logs:
            self._seen = f", {self._monitor} {logs[f'val_{self._monitor}']:.4f}"
        text = f"{self._label}  epoch {epoch + 1}: loss {logs.get('loss', float('nan')):.4f}{self._seen}"
        self._progress.update(self._task, completed=self._done, description=text)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the last state on the screen."""
        self._progress.update(self._task, total=self._done)
        self._progress.stop()
