"""Predictions of a trained model on the test split, frozen or rolling."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.time_axis import day_names
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import balancing_callbacks
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.subgraph_dataset import record_files, subgraph_dataset

Rows = dict[str, np.ndarray]


def predict_test(
    network: E2EGRec, run: RunDirectory, description: DatasetDescription, subgraphs: Manifest
) -> Rows:
    """Predictions and labels of the test split, row by row.

    With `evaluation.protocol: rolling` the network first trains on the validation days and then, day by day,
    predicts a test day before it trains on it; the network is changed.

    Args:
      network: a trained, compiled model.
      run: where the subgraphs are.
      description: how to evaluate.
      subgraphs: the manifest of RUN_DIR/subgraphs.

    Returns:
      `reward`, `stay` (labels), `predicted_reward`, `predicted_stay`, float32 [n]; `user`, `item`, `time`
      int64 [n].
    """
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)

    def batches(files: Sequence[str]) -> tf.data.Dataset:
        return subgraph_dataset(files, description, *tables, description.training.batch_size)

    test_files = record_files(run.subgraphs, "test")
    predict = prediction_function(network, batches(test_files).element_spec[0])
    if description.evaluation.protocol == "frozen":
        return _predict(predict, batches(test_files))

    def learn(files: Sequence[str]) -> None:
        network.fit(batches(files), verbose=0, callbacks=balancing_callbacks(description, network.variant))

    learn(record_files(run.subgraphs, "valid"))
    days = []
    for files in _files_by_day(run, description, subgraphs):
        days.append(_predict(predict, batches(files)))
        learn(files)
    return {name: np.concatenate([day[name] for day in days]) for name in days[0]}


def prediction_function(
    network: E2EGRec, spec: tfgnn.GraphTensorSpec
) -> tf.types.experimental.GenericFunction:
    """The network's forward pass, traced once for all batch sizes."""
    return tf.function(lambda graph: network(graph, training=False), input_signature=[spec])


def _files_by_day(
    run: RunDirectory, description: DatasetDescription, subgraphs: Manifest
) -> Iterator[list[str]]:
    """The test files of each day, in time order; logs without dates are one day."""
    entries = subgraphs.details["files"]["test"]
    first = np.array([entry["first_time"] for entry in entries], np.int64)
    names = day_names(first, description.time_is_rank)
    for name in sorted(set(names)):
        yield [
            str(run.subgraphs / entry["file"])
            for entry, day in zip(entries, names, strict=True)
            if day == name
        ]


def _predict(predict: tf.types.experimental.GenericFunction, data: tf.data.Dataset) -> Rows:
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
