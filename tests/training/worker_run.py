"""One process of a distributed training: `TF_CONFIG=... python -m tests.training.worker_run FOLDER STRATEGY [KILL_AT]`.

A worker with KILL_AT kills itself after so many steps, with no warning to anyone, unless FOLDER says that it has done so before.
"""

import json
import os
import signal
import sys
from pathlib import Path

import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

# isort: split
import numpy as np
import tensorflow as tf

from tests.training.toy_tasks import Clicks
from tf_e2egrec.training import FusedAdam, GradNorm, RowSparseAdam, WorkerCheckpoints, epoch_dataset

EPOCHS, STEPS, GLOBAL_BATCH, ITEMS = 4, 20, 64, 40


class Kill(tf.keras.callbacks.Callback):
    """As a machine that goes away: no `finally`, no word to the others."""

    def __init__(self, after, marker):
        super().__init__()
        self.after, self.marker, self.steps = after, marker, 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.after and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def clicks(rows, seed):
    """Item ids and clicks, which some items get more often than others."""
    rng = np.random.default_rng(seed)
    taste = np.random.default_rng(7).normal(size=ITEMS)
    ids = rng.integers(0, ITEMS, rows)
    return ids, (rng.random(rows) < 1 / (1 + np.exp(-2 * taste[ids]))).astype("f4")


def rows_of(context):
    """The rows of an epoch that are this worker's, by its seed."""

    def make(seed):
        rows = tf.data.Dataset.from_tensor_slices(clicks(STEPS * GLOBAL_BATCH, 0))
        rows = rows.shuffle(STEPS * GLOBAL_BATCH, seed=seed)
        rows = rows.shard(context.num_input_pipelines, context.input_pipeline_id)
        return rows.batch(context.get_per_replica_batch_size(GLOBAL_BATCH), drop_remainder=True)

    return make


def make_model():
    tf.keras.utils.set_random_seed(0)
    model = Clicks(ITEMS)
    model.compile(optimizer=FusedAdam(3e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(3e-2))
    return model


def train_mirrored(folder, kill_at):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    with strategy.scope():
        model = make_model()
    balance = GradNorm(warmup_steps=5)
    checkpoints = WorkerCheckpoints(folder / "checkpoint", "a", 5, [balance], is_chief=index == 0)
    data = strategy.distribute_datasets_from_function(
        lambda context: epoch_dataset(rows_of(context), 3, EPOCHS, checkpoints.start)
    )
    callbacks = [checkpoints, balance]
    if kill_at is not None:
        callbacks.append(Kill(kill_at, folder / "killed"))
    model.fit(data, epochs=EPOCHS, steps_per_epoch=STEPS, verbose=0, callbacks=callbacks)
    write(folder / f"worker-{index}.npz", model, start=np.array(checkpoints.start))


def train_asynchronously(folder, kill_at):
    """Workers compute, one process holds the variables, the chief hands out steps and does not mind a lost worker."""
    del kill_at
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    # With a single thread for operations, these processes have been seen to hang.
    threads = 4
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if resolver.task_type != "chief":
        config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=threads)
        server = tf.distribute.Server(
            resolver.cluster_spec(),
            job_name=resolver.task_type,
            task_index=resolver.task_id,
            protocol="grpc",
            config=config,
        )
        (folder / f"{resolver.task_type}-{resolver.task_id}.up").touch()
        server.join()
    # Tables in parts, and the few numbers of GradNorm whole.
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        min_shard_bytes=256, max_shards=2
    )
    strategy = tf.distribute.ParameterServerStrategy(resolver, variable_partitioner=partitioner)
    with strategy.scope():
        model = make_model()
    data = tf.keras.utils.experimental.DatasetCreator(
        lambda context: epoch_dataset(rows_of(context), 3, 1_000 * EPOCHS)
    )
    epochs = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (folder / f"epoch-{epoch}").touch()
    )
    balance = GradNorm(warmup_steps=5)
    model.fit(data, epochs=2 * EPOCHS, steps_per_epoch=STEPS, verbose=0, callbacks=[balance, epochs])
    write(folder / "chief.npz", model)


def write(path, model, **others):
    """The state of GradNorm, the weights, and the scores of every item."""
    balancer = {
        name: getattr(model.balancer, name).numpy()
        for name in ("task_weights", "initial_losses", "statistics", "slots", "steps")
    }
    weights = {f"weight {i}": variable.numpy() for i, variable in enumerate(model.trainable_variables)}
    scores = model.scores(tf.range(ITEMS)).numpy()
    np.savez(path.with_suffix(".partial.npz"), scores=scores, **balancer, **weights, **others)
    path.with_suffix(".partial.npz").replace(path)


def main():
    folder, strategy = Path(sys.argv[1]), sys.argv[2]
    kill_at = int(sys.argv[3]) if len(sys.argv) > 3 else None
    tf.config.threading.set_intra_op_parallelism_threads(1)
    train = {"multi-worker": train_mirrored, "parameter-server": train_asynchronously}[strategy]
    train(folder, kill_at)


if __name__ == "__main__":
    main()
