"""`Diagnostics`: what training does to the representations, in TensorBoard."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.effective_rank import effective_rank
from tf_e2egrec.training.multi_task_model import MultiTaskModel

require_keras_2()

_HISTOGRAM_ROWS = 10_000


class Diagnostics(tf.keras.callbacks.Callback):
    """Writes scalars and histograms about a fixed batch, and warns once when X loses half of its effective rank.

    The model has a method ``diagnose(inputs)`` that returns any of: `x` and `z`, [n, d] states before and after the
    propagation; `gate`, [p], mean openness of the gate per part; `attention`, [p, p], mean weight from token to token.

    Written are: `effective_rank/*`, `norm/*` (mean of the rows' norms), `deviation/*` (per dimension: histogram, mean and
    minimum) of x and z; `gate/<part>`; `attention/<part>_to_<part>`; with a `MultiTaskModel` w, g, r and L / L(0) of
    every task; histograms of the embedding tables (of at most 10,000 rows, evenly spaced).

    Args:
      log_dir: for the event files.
      probe: the inputs of one batch, small, the same throughout the run.
      every: steps between two records within an epoch; None: only before the first step and at the end of each epoch.
      parts: names of what is fused.
      collapse_ratio: warn when the effective rank of X falls below this share of the highest seen.
      warn: takes the warning's sentence.

    Attributes:
      latest: the last scalars written.

    Raises:
      ValueError: the model has no `diagnose`.

    Example:
      >>> import tempfile
      >>> class Encoder(tf.keras.Sequential):
      ...     def diagnose(self, inputs):
      ...         return {"x": self(inputs)}
      >>> model = Encoder([tf.keras.layers.Dense(2, input_shape=(3,))])
      >>> model.compile("sgd", "mse")
      >>> x = tf.random.stateless_normal((8, 3), seed=(1, 2))
      >>> watch = Diagnostics(tempfile.mkdtemp(), x)
      >>> history = model.fit(x, x[:, :2], verbose=0, callbacks=[watch])
      >>> 1.0 <= watch.latest["effective_rank/x"] <= 2.0
      True
    """

    def __init__(
        self,
        log_dir: str | Path,
        probe: Any,
        every: int | None = None,
        parts: tuple[str, ...] = ("shared", "ltr", "gnn"),
        collapse_ratio: float = 0.5,
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        super().__init__()
        self.log_dir = Path(log_dir)
        self.probe = probe
        self.every = every
        self.parts = parts
        self.collapse_ratio = collapse_ratio
        self.warn = warn
        self.latest: dict[str, float] = {}
        self._highest_rank = 0.0
        self._has_warned = False

    def set_model(self, model: tf.keras.Model) -> None:
        """Trace the model's `diagnose` for the probe."""
        if not hasattr(model, "diagnose"):
            raise ValueError(
                f"`Diagnostics` needs a model with a method `diagnose(inputs)`. Received: {type(model).__name__}"
            )
        super().set_model(model)
        self._diagnose = tf.function(lambda: model.diagnose(self.probe))

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Open the event file."""
        self._writer = tf.summary.create_file_writer(str(self.log_dir))
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the start of the run, which later ranks are compared with."""
        if self._is_first:
            self._record()
        self._is_first = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record every so many steps."""
        if self.every is not None and (batch + 1) % self.every == 0:
            self._record()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the epoch's end."""
        self._record()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the event file."""
        self._writer.close()

    def get_state(self) -> dict[str, Any]:
        """What `Checkpoints` keeps."""
        return {"highest_rank": self._highest_rank, "has_warned": self._has_warned}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `get_state`."""
        self._highest_rank, self._has_warned = float(state["highest_rank"]), bool(state["has_warned"])

    def _record(self) -> None:
        found = {name: value.numpy() for name, value in self._diagnose().items()}
        scalars = _scalars(found, self.parts)
        if isinstance(self.model, MultiTaskModel):
            scalars |= self.model.balancer.values()
        histograms = {
            f"deviation_by_dimension/{name}": found[name].std(axis=0) for name in ("x", "z") if name in found
        }
        for layer in self.model._flatten_layers():
            if isinstance(layer, tf.keras.layers.Embedding) and layer.built:
                histograms[f"embedding/{_table_name(layer)}"] = _evenly_spaced_rows(layer.embeddings)
        step = int(self.model.optimizer.iterations.numpy())
        with self._writer.as_default(step=step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            for name, values in histograms.items():
                tf.summary.histogram(name, values)
        self._writer.flush()
        self.latest = scalars
        self._watch_rank(scalars.get("effective_rank/x"))

    def _watch_rank(self, rank: float | None) -> None:
        if rank is None:
            return
        self._highest_rank = max(self._highest_rank, rank)
        if rank < self.collapse_ratio * self._highest_rank and not self._has_warned:
            self._has_warned = True
            self.warn(
                f"the effective rank of X fell from {self._highest_rank:.1f} to {rank:.1f}: the GFAE loss makes all items "
                "alike; lower `training.ssl_prior` (GradNorm) or `training.ssl_weight` (fixed weights)"
            )


def _scalars(found: Mapping[str, np.ndarray], parts: tuple[str, ...]) -> dict[str, float]:
    scalars = {}
    for name in ("x", "z"):
        if name in found:
            states = found[name].astype(np.float64)
            deviation = states.std(axis=0)
            scalars[f"effective_rank/{name}"] = float(effective_rank(states))
            scalars[f"norm/{name}"] = float(np.linalg.norm(states, axis=1).mean())
            scalars[f"deviation_mean/{name}"] = float(deviation.mean())
            scalars[f"deviation_minimum/{name}"] = float(deviation.min())
    for part, openness in zip(parts, found.get("gate", ()), strict=False):
        scalars[f"gate/{part}"] = float(openness)
    for part, row in zip(parts, found.get("attention", ()), strict=False):
        scalars |= {
            f"attention/{part}_to_{other}": float(weight) for other, weight in zip(parts, row, strict=False)
        }
    return scalars


def _evenly_spaced_rows(table: tf.Variable) -> tf.Tensor:
    rows = int(table.shape[0])
    return tf.gather(table, np.unique(np.linspace(0, rows - 1, min(rows, _HISTOGRAM_ROWS)).astype(np.int64)))


def _table_name(layer: tf.keras.layers.Embedding) -> str:
    """The variable's path without `embeddings:0`, which tells tables of the same feature apart."""
    return layer.embeddings.name.removesuffix(":0").removesuffix("/embeddings")
