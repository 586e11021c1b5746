"""Training batches: every pair once per epoch, in an order and with negatives that are hashes of (seed, epoch)."""

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tf_e2egrec.dataset.ids import hash_keys, mix64
from tf_e2egrec.training import epoch_dataset

_MOST_ATTEMPTS = 64  # beyond, a user has nearly every item, and any will do
_TO_UNIT = 1.0 / (1 << 53)


class TrainingPairs(NamedTuple):
    """The pairs of one epoch, in the order of training.

    Attributes:
      user, item: int32 [n].
      negative: int32 [n], an item that the user has no training pair with.
    """

    user: np.ndarray
    item: np.ndarray
    negative: np.ndarray


def pairs_of_epoch(train: sp.csr_array, seed: int) -> TrainingPairs:
    """The pairs of an epoch.

    Args:
      train: CSR [U, I], columns ascending within each row.
      seed: of the epoch.
    """
    count = train.nnz
    order = np.argsort(hash_keys(seed, np.arange(count)), kind="stable")
    users = np.repeat(np.arange(train.shape[0], dtype=np.int32), np.diff(train.indptr))[order]
    state = hash_keys(seed, 1, np.arange(count))
    negatives = _unseen_items(users, state, train.indptr, train.indices, train.shape[1])
    return TrainingPairs(users, train.indices[order].astype(np.int32), negatives)


@numba.njit(cache=True, nogil=True)
def _unseen_items(
    users: np.ndarray, state: np.ndarray, indptr: np.ndarray, indices: np.ndarray, items: int
) -> np.ndarray:
    found = np.empty(len(users), np.int32)
    for row in range(len(users)):
        start, stop = indptr[users[row]], indptr[users[row] + 1]
        drawn = np.uint64(state[row])
        item = 0
        for _ in range(_MOST_ATTEMPTS):
            drawn = mix64(drawn)
            item = int(np.float64(drawn >> np.uint64(11)) * _TO_UNIT * items)
            place = start + np.searchsorted(indices[start:stop], item)
            if place == stop or indices[place] != item:
                break
        found[row] = item
    return found


def steps_per_epoch(train: sp.csr_array, batch_size: int) -> int:
    """Batches of an epoch: all of one size, so that a few pairs of each epoch, others each time, are left out."""
    return max(1, train.nnz // batch_size)


def training_batches(
    train: sp.csr_array, batch_size: int, seed: int, epochs: int, start: tuple[int, int] = (0, 0)
) -> tf.data.Dataset:
    """Batches (user, item, negative), int32 [batch] each, of all epochs from `start` (epoch, steps done) on.

    Args:
      train: CSR [U, I], columns ascending within each row.
      batch_size: pairs per step; all of them where there are fewer.
      seed: of the run.
      epochs: of the whole run.
      start: where an interrupted run goes on.
    """
    size, steps = min(batch_size, train.nnz), steps_per_epoch(train, batch_size)

    def one_epoch(epoch_seed: tf.Tensor) -> tf.data.Dataset:
        pairs = tf.numpy_function(
            lambda value: np.stack(pairs_of_epoch(train, int(value))), [epoch_seed], tf.int32, stateful=False
        )
        pairs = tf.reshape(pairs[:, : steps * size], (3, steps, size))
        return tf.data.Dataset.from_tensor_slices((pairs[0], pairs[1], pairs[2]))

    return epoch_dataset(one_epoch, seed, epochs, start).prefetch(2)
