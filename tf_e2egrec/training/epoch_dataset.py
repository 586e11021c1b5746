"""`epoch_dataset`: the batches of a whole run, in an order that is a function of (seed, epoch)."""

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_EPOCHS_PER_SEED = 1 << 20
_GRAPH_SEED = 87654321


def epoch_dataset(
    make: Callable[..., tf.data.Dataset],
    seed: int,
    epochs: int,
    start: tuple[int, int] = (0, 0),
) -> tf.data.Dataset:
    """Concatenate the epochs' datasets, each made from its own seed; a resumed run starts in the middle.

    A dataset that shuffles anew at each iteration keeps its place in the sequence of shuffles in memory, where no
    checkpoint reaches it. Here the order of an epoch depends on its number alone. Give `Model.fit` the number of
    `steps_per_epoch`: the dataset does not say where an epoch ends.

    Args:
      make: from an int64 scalar tensor, the epoch's seed, to the batches of one epoch; it is traced once. Where it has an
        argument `skip`, an int64 scalar tensor, it leaves out so many batches itself, before it makes them.
      seed: of the run.
      epochs: of the whole run.
      start: (epoch, steps of that epoch that are done) to start from.

    Returns:
      The batches of `make`, from `start` to the end of the last epoch.

    Example:
      >>> def make(seed):
      ...     return tf.data.Dataset.range(4).shuffle(4, seed=seed).batch(2)
      >>> whole = list(epoch_dataset(make, 7, epochs=2).as_numpy_iterator())
      >>> rest = list(epoch_dataset(make, 7, epochs=2, start=(1, 1)).as_numpy_iterator())
      >>> len(whole), len(rest), bool((whole[3] == rest[0]).all())
      (4, 1, True)
    """
    first_epoch, first_step = start
    leaves_out = "skip" in inspect.signature(make).parameters

    def of_epoch(epoch: tf.Tensor) -> Any:
        # The seed of this function's graph: TensorFlow mixes it into every seed, and the process's own may be any.
        tf.random.set_seed(_GRAPH_SEED)
        done = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
        of_seed = seed * _EPOCHS_PER_SEED + epoch
        return make(of_seed, skip=done) if leaves_out else make(of_seed).skip(done)

    return tf.data.Dataset.range(first_epoch, epochs).flat_map(of_epoch)
