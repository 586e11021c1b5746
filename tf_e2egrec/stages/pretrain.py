"""What comes before the training of a cascade: its graph neural network learns alone, and is frozen."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.models.e2egrec import E2EGRec
from tf_e2egrec.models.graph_pretraining import GraphPretraining
from tf_e2egrec.training import FusedAdam, LossGuard, RowSparseAdam

_COLLAPSED = 0.5  # of the effective rank at the start


def pretrain_graph(
    network: E2EGRec,
    description: DatasetDescription,
    training_data: tf.data.Dataset,
    validation_data: tf.data.Dataset | None = None,
) -> dict[str, Any]:
    """Train the graph neural network of a cascade in place; it is frozen again afterwards.

    The optimisers are those of the ranker, the number of epochs is `training.pretraining_epochs`. Training ends early when the
    validation loss has not fallen for `training.patience` epochs (the best epoch is kept) and, by GFAE, when X has lost half of
    its effective rank: its loss alone has its minimum where all items are alike, so the loss itself never says when to stop.

    Args:
      network: a cascade.
      description: how to train.
      training_data, validation_data: batches as the ranker gets them. Without validation there is one epoch.

    Returns:
      `method`, `steps`, `loss` and `validation_loss` per epoch, `effective_rank` of X at the first and at the
      last step, `collapsed`: whether half of it was lost by then, `seconds` of wall time: what a refresh of a cascade costs.
    """
    started = time.perf_counter()
    model = GraphPretraining(network)
    watch = _RankWatch(stop=model.method == "gfae")
    network.freeze_graph(False)  # before `compile`, which notes what may be trained
    try:
        history = _fit(model, description, training_data, validation_data, watch)
    finally:
        network.freeze_graph()
    return {
        "method": model.method,
        "steps": watch.steps,
        "loss": _rounded(history["loss"]),
        "validation_loss": _rounded(history.get("val_loss", [])),
        "effective_rank": _rounded([watch.first, watch.last]),
        "collapsed": watch.collapsed,
        "seconds": round(time.perf_counter() - started, 3),
    }


def graph_learning_step(
    network: E2EGRec, description: DatasetDescription, spec: Sequence[object]
) -> Callable[[tfgnn.GraphTensor, Mapping[str, tf.Tensor]], object]:
    """One training step of a cascade's graph neural network, which stays frozen for everybody else.

    Args:
      network: a cascade.
      description: how to train.
      spec: the specs of a batch's graph and labels.
    """
    model = GraphPretraining(network)
    network.freeze_graph(False)  # what may be trained is decided when the step is traced
    try:
        _compile(model, description)
        model.build_optimizers()
        learn = tf.function(
            lambda graph, labels: model.train_step((graph, labels)), input_signature=list(spec)
        )
        return learn.get_concrete_function()
    finally:
        network.freeze_graph()


def _compile(model: GraphPretraining, description: DatasetDescription) -> None:
    """With the ranker's optimisers."""
    spec = description.training
    model.compile(
        optimizer=FusedAdam(spec.learning_rate, jit_compile=False),
        embedding_optimizer=RowSparseAdam(spec.embedding_learning_rate, row_decay=spec.embedding_decay),
    )


def _fit(
    model: GraphPretraining,
    description: DatasetDescription,
    training_data: tf.data.Dataset,
    validation_data: tf.data.Dataset | None,
    watch: tf.keras.callbacks.Callback,
) -> dict[str, list[float]]:
    spec = description.training
    _compile(model, description)
    callbacks = [LossGuard("the graph network's pretraining"), watch]
    if validation_data is not None:
        callbacks.append(
            tf.keras.callbacks.EarlyStopping("val_loss", patience=spec.patience, restore_best_weights=True)
        )
    history: dict[str, list[float]] = model.fit(
        training_data,
        validation_data=validation_data,
        epochs=spec.pretraining_epochs if validation_data is not None else 1,
        verbose=0,
        callbacks=callbacks,
    ).history
    return history


class _RankWatch(tf.keras.callbacks.Callback):
    """Follows the effective rank of X, and may stop the training when half of it is lost."""

    def __init__(self, stop: bool) -> None:
        super().__init__()
        self._stop = stop
        self.steps = 0
        self.first = self.last = 0.0
        self.collapsed = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Compare with the first batch."""
        self.steps += 1
        self.last = float(self.model.effective_rank)
        self.first = self.first or self.last
        self.collapsed = self.last < _COLLAPSED * self.first
        if self.collapsed and self._stop:
            self.model.stop_training = True


def _rounded(values: list[float]) -> list[float]:
    return [round(float(value), 6) for value in values]
