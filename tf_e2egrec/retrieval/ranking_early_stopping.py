"""`RankingEarlyStopping`: stops where the validation ranking no longer gets better, and brings the best weights back."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class RankingEarlyStopping(tf.keras.callbacks.EarlyStopping):
    """Keras's early stopping for a measurement that not every epoch has; patience counts measurements.

    Args:
      monitor: name of the measurement, such as `val_ndcg@20`; more is better.
      patience: stop after this many measurements without a better one.
    """

    def __init__(self, monitor: str, patience: int) -> None:
        super().__init__(monitor, patience=patience, mode="max", restore_best_weights=True)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Look at epochs that were measured."""
        if logs is not None and self.monitor in logs:
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Bring the best weights back also where all epochs were trained."""
        super().on_train_end(logs)
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
