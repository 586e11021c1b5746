"""`RankingValidation`: ranks all items every few epochs, and keeps the time that training took until then."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import scipy.sparse as sp
import tensorflow as tf

from tf_e2egrec.retrieval.full_ranking import evaluate_ranking


class RankingValidation(tf.keras.callbacks.Callback):
    """Adds `val_recall@K`, `val_ndcg@K` and so on to the logs of the epochs that it measures; stands before callbacks that read them.

    Args:
      seen, relevant, top: see `evaluate_ranking`.
      every: epochs between measurements; the last epoch is always measured.

    Attributes:
      measured: one mapping per measurement: `epoch` (from 1), `loss`, `seconds` and `cpu_seconds` of training until then,
        measurements left out, and the metrics. An interrupted run that goes on keeps them.
    """

    def __init__(
        self, seen: sp.csr_array, relevant: sp.csr_array, top: Sequence[int], every: int = 1
    ) -> None:
        super().__init__()
        self.seen, self.relevant, self.top, self.every = seen, relevant, list(top), every
        self.measured: list[dict[str, float]] = []
        self._spent = (0.0, 0.0)
        self._begun: tuple[float, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Start the clock."""
        self._begun = _clock()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the clock, and measure where it is time."""
        self._spent, self._begun = self._until_now(), None
        if (epoch + 1) % self.every and epoch + 1 < self.params["epochs"]:
            return
        users, items = self.model.vectors()
        metrics = evaluate_ranking(users, items, self.seen, self.relevant, self.top)
        logs = {} if logs is None else logs
        logs |= {f"val_{name}": value for name, value in metrics.items()}
        seconds, cpu_seconds = self._spent
        clocks = {"seconds": seconds, "cpu_seconds": cpu_seconds}
        self.measured.append(
            {"epoch": epoch + 1, "loss": float(logs.get("loss", "nan")), **clocks, **metrics}
        )

    def get_state(self) -> dict[str, Any]:
        """What a run that goes on needs."""
        return {"measured": self.measured, "spent": self._until_now()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`."""
        self.measured, self._spent = list(state["measured"]), tuple(state["spent"])
        self._begun = _clock()

    def _until_now(self) -> tuple[float, float]:
        if self._begun is None:
            return self._spent
        now = _clock()
        return self._spent[0] + now[0] - self._begun[0], self._spent[1] + now[1] - self._begun[1]


def _clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
