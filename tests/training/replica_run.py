"""Trains models on one and on two virtual CPU devices and writes what came out: `python -m tests.training.replica_run FOLDER KIND...`.

Devices are configured when TensorFlow starts: this needs a process of its own.
"""

import sys
from pathlib import Path

import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

# isort: split
import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.toy_data import serialize, toy_description, toy_model, toy_records, toy_tables
from tests.training.toy_tasks import Chained, ToyEmbedding
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.graph_schema import record_spec
from tf_e2egrec.training import FusedAdam, GradNorm, RowSparseAdam

STEPS, GLOBAL_BATCH = 4, 16


def optimizers(kind):
    # Adam would blow up the rounding of a gradient that is zero (that of the attention's key bias).
    dense = tf.keras.optimizers.SGD(0.1) if kind.startswith("R") else FusedAdam(1e-2)
    clipped = tf.keras.optimizers.Adagrad(0.5, clipnorm=0.01, jit_compile=False)
    return {
        "optimizer": dense,
        "embedding_optimizer": clipped if kind == "embedding-adagrad" else RowSparseAdam(1e-2),
    }


def chained():
    x = np.random.default_rng(0).normal(size=(STEPS * GLOBAL_BATCH, 3)).astype("f4")
    return Chained(), tf.data.Dataset.from_tensor_slices((x, x @ np.array([1, -2, 0.5], "f4")))


def embedding():
    """Few ids: both replicas bring the same rows at nearly every step."""
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(0, 4, STEPS * GLOBAL_BATCH), rng.normal(size=STEPS * GLOBAL_BATCH)
    return ToyEmbedding(), tf.data.Dataset.from_tensor_slices((ids, labels.astype("f4")))


def e2egrec(replicas, name):
    """A graph per replica, of another size each, with other numbers of stay labels."""
    description, share = toy_description(), GLOBAL_BATCH // 2
    tables, spec = toy_tables(description), record_spec(description)
    records = [
        record for step in range(STEPS) for half in (0, 1) for record in toy_records(share, 2 * step + half)
    ]

    def graph(serialized):
        return compact(tfgnn.parse_example(spec, serialized), *tables)

    rows = tf.data.Dataset.from_tensor_slices(serialize(records))
    return toy_model(name), rows.batch(GLOBAL_BATCH // replicas).map(graph)


def train(kind, strategy):
    replicas = strategy.num_replicas_in_sync
    tf.keras.utils.set_random_seed(0)
    with strategy.scope():
        if kind in ("chained", "embedding", "embedding-adagrad"):
            model, rows = chained() if kind == "chained" else embedding()
            data = rows.batch(GLOBAL_BATCH)
        else:
            model, graphs = e2egrec(replicas, kind)
            # Without an end: for the end of the data, TensorFlow would have to make up an empty GraphTensor.
            data = strategy.distribute_datasets_from_function(lambda context: graphs.repeat())
        model.compile(**optimizers(kind))
    callbacks = [GradNorm(warmup_steps=2)] if len(model.balancer.tasks) > 1 else []
    history = model.fit(data, steps_per_epoch=STEPS, verbose=0, callbacks=callbacks).history
    weights = {f"weight {i}": value for i, value in enumerate(v.numpy() for v in model.trainable_variables)}
    losses = {key: np.array(value) for key, value in history.items() if key.endswith("loss")}
    balancer = {
        name: getattr(model.balancer, name).numpy()
        for name in ("task_weights", "initial_losses", "statistics")
    }
    return {"replicas": replicas, **weights, **losses, **balancer}


def main():
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # One of each: a second MirroredStrategy takes the first one's keys of collective operations.
    strategies = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for kind in sys.argv[2:]:
        for strategy in strategies:
            path = Path(sys.argv[1]) / f"{kind}-{strategy.num_replicas_in_sync}.npz"
            np.savez(path, **train(kind, strategy))


if __name__ == "__main__":
    main()
