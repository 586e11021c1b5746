"""`ReplicaGroup`: what trains one model, from a single process to the workers of a cluster."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from tf_e2egrec.dataset.artefact import publish
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.subgraphs.share import Share
from tf_e2egrec.training.checkpoints import Checkpoints
from tf_e2egrec.training.worker_checkpoints import WorkerCheckpoints

require_keras_2()

StrategyName = Literal["none", "mirrored", "multi-worker"]

_LEAST_THREADS = 16
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


class ReplicaGroup:
    """The replicas that share each batch, and what is this process's part in them.

    Make it before TensorFlow computes anything, and one per process: workers find one another when they start.

    Args:
      name: `none`: one replica. `mirrored`: one on each GPU of this machine; without a GPU, on each logical CPU device.
        `multi-worker`: one or more in each process that `TF_CONFIG` lists.

    Attributes:
      strategy: of `tf.distribute`; None for one replica.
      replicas: how many share a batch.
      is_chief: whether this process writes what the training leaves: the only one, or worker 0.

    Raises:
      E2EGRecError: `multi-worker` without a usable `TF_CONFIG`.

    Example:
      >>> group = ReplicaGroup("none")
      >>> group.replicas, group.is_chief
      (1, True)
    """

    def __init__(self, name: StrategyName = "none") -> None:
        self.strategy: tf.distribute.Strategy | None = None
        self.is_chief, self._has_workers = True, name == "multi-worker"
        if name == "mirrored":
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        elif self._has_workers:
            self.is_chief = _worker_number() == 0
            # Workers answer one another's heartbeats by the same threads that wait for collective operations.
            threads = max(tf.config.threading.get_inter_op_parallelism_threads(), _LEAST_THREADS)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self.replicas = 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where the model is built and compiled."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def steps(self, rows: int, batch_size: int) -> int:
        """Batches of an epoch; rows at its end that are fewer than the replicas are left out."""
        return Share(of=self.replicas).batches(rows, batch_size)

    def distributed(self, make: Callable[[Share], tf.data.Dataset]) -> Any:
        """The data for `Model.fit`, which has to be told the number of steps: each process makes the shares of its own replicas.

        Args:
          make: from the share to its batches.
        """
        if self.strategy is None:
            return make(Share())
        # Without an end: for the end of the data, TensorFlow would have to make up an empty GraphTensor.
        return self.strategy.distribute_datasets_from_function(
            lambda context: make(Share.of_pipeline(context)).repeat()
        )

    def checkpoints(self, directory: Path, fingerprint: str, every: int, **options: Any) -> Checkpoints:
        """`Checkpoints`, or those that workers share."""
        if self._has_workers:
            return WorkerCheckpoints(directory, fingerprint, every, is_chief=self.is_chief, **options)
        return Checkpoints(directory, fingerprint, every, **options)

    @contextlib.contextmanager
    def published(self, target: Path) -> Iterator[Path]:
        """Yield the folder that the chief publishes as `target`, and the others throw away; it ends for all at once.

        All of them write: variables that are summed over the workers when they are read are read by all or by none.
        """
        if self.is_chief:
            with publish(target) as staging:
                yield staging
        else:
            with tempfile.TemporaryDirectory() as scratch:
                yield Path(scratch)
        self._meet()

    @contextlib.contextmanager
    def naming_lost_workers(self) -> Iterator[None]:
        """Turn TensorFlow's errors about another worker into a sentence.

        Raises:
          E2EGRecError: another worker stopped answering inside the block.
        """
        try:
            yield
        except _LOST as error:
            if not self._has_workers:
                raise
            said = " ".join(error.message.split())[-200:]
            raise E2EGRecError(
                f"another worker stopped answering ({said}); start all workers again: they go on from the last checkpoint"
            ) from error

    def _meet(self) -> None:
        """Wait for the other workers: whoever is ahead would take what is not yet there for missing."""
        if self._has_workers and self.strategy is not None:
            met = self.strategy.run(_sum_of_ones)
            self.strategy.experimental_local_results(met)[0].numpy()


@tf.function
def _sum_of_ones() -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0))


def _worker_number() -> int:
    """This process's number in `TF_CONFIG`."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        said = json.loads(text)
        workers, task = said["cluster"]["worker"], said["task"]
        number = int(task["index"])
        if set(said["cluster"]) == {"worker"} and task["type"] == "worker" and 0 <= number < len(workers):
            return number
    except (ValueError, KeyError, TypeError):
        pass
    raise E2EGRecError(
        '`--strategy multi-worker` needs the environment variable TF_CONFIG, such as {"cluster": {"worker": ["host-0:2222", '
        f'"host-1:2222"]}}, "task": {{"type": "worker", "index": 0}}}}. Received: {text or "nothing"}'
    )
