"""Predictions of a trained model, frozen or rolling."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn
from rich.progress import track

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.rolling import Batch, learning_steps, test_then_train, update_period
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.impression_source import impressions

Rows = dict[str, np.ndarray]


def predict_test(
    network: E2EGRec,
    run: RunDirectory,
    description: DatasetDescription,
    subgraphs: Manifest,
    label: str | None = None,
) -> Rows:
    """`predict_splits` for the test split alone."""
    return predict_splits(network, run, description, subgraphs, label=label)["test"]


def predict_splits(
    network: E2EGRec,
    run: RunDirectory,
    description: DatasetDescription,
    subgraphs: Manifest,
    splits: Sequence[str] = ("test",),
    label: str | None = None,
) -> dict[str, Rows]:
    """Predictions and labels, row by row.

    With `evaluation.protocol: rolling` the network meets the validation split and then the test split in order of time,
    and learns from each period of `evaluation.update_every` once it has predicted it; the network is changed.

    Args:
      network: a trained, compiled model.
      run: where the subgraphs are.
      description: how to evaluate.
      subgraphs: the manifest of RUN_DIR/subgraphs.
      splits: `valid`, `test` or both. To tune by `valid` alone never reads the test split.
      label: what a progress bar is called; none is shown when absent.

    Returns:
      Of each split: `reward`, `stay` (labels), `predicted_reward`, `predicted_stay`, float32 [n]; `user`, `item`,
      `time` int64 [n].
    """
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)
    is_rolling = description.evaluation.protocol == "rolling"
    met = ("valid", "test")[: 2 if "test" in splits else 1] if is_rolling else tuple(splits)
    data = {split: impressions(run.subgraphs, split, description, *tables) for split in met}
    spec = data[met[0]].element_spec
    predict = prediction_function(network, spec[0])
    steps = learning_steps(network, description, spec) if is_rolling else []
    rows = {}
    for split, batches in data.items():
        met_batches = (
            test_then_train(batches, steps, update_period(description)) if is_rolling else iter(batches)
        )
        total = -(-subgraphs.counters[f"impressions_{split}"] // description.training.batch_size)
        shown = track(met_batches, f"{label}: {split}", total, disable=label is None)
        rows[split] = _predict(predict, shown)
    return {split: rows[split] for split in splits}


def prediction_function(
    network: E2EGRec, spec: tfgnn.GraphTensorSpec
) -> tf.types.experimental.GenericFunction:
    """The network's forward pass, traced once for all batch sizes."""
    return tf.function(lambda graph: network(graph, training=False), input_signature=[spec])


def _predict(predict: tf.types.experimental.GenericFunction, data: Iterable[Batch]) -> Rows:
    rows: dict[str, list[np.ndarray]] = {}
    for graph, labels in data:
        output = predict(graph)
        readout = graph.node_sets[READOUT]
        batch = {
            **labels,
            "predicted_reward": output["reward"],
            # one 0 for all rows without a stay tower
            "predicted_stay": tf.broadcast_to(output["stay_seconds"], tf.shape(output["reward"])),
            "user": readout["user_id"],
            "item": readout["item_id"],
            "time": readout["time"],
        }
        for name, value in batch.items():
            rows.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in rows.items()}
