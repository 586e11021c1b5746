"""`TrainingData`: the batches of one training, for one replica or for several that share each batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.impression_source import impressions
from tf_e2egrec.subgraphs.share import Share
from tf_e2egrec.training import ReplicaGroup, epoch_dataset


class TrainingData:
    """Both splits that a training sees; the order is a function of the seed, the same whatever the number of replicas.

    Args:
      directory: RUN_DIR/subgraphs.
      description: how to train.
      subgraphs: the directory's manifest.
      tables: features of items and of users.
      seed: of the order.
      group: who shares the batches.

    Attributes:
      steps, validation_steps: batches of an epoch, and of the validation split.
    """

    def __init__(
        self,
        directory: Path,
        description: DatasetDescription,
        subgraphs: Manifest,
        tables: tuple[FeatureTable, FeatureTable],
        seed: int,
        group: ReplicaGroup,
    ) -> None:
        self._directory, self._description, self._tables = directory, description, tables
        self._seed, self._group = seed, group
        self.steps, self.validation_steps = (
            group.steps(subgraphs.counters[f"impressions_{split}"], description.training.batch_size)
            for split in ("train", "valid")
        )

    def for_fit(self, start: tuple[int, int]) -> Any:
        """What `fit` takes: all epochs from (epoch, step) on."""
        epochs = self._description.training.epochs
        return self._group.distributed(
            lambda share: epoch_dataset(self._epoch(share), self._seed, epochs, start)
        )

    def for_validation(self) -> Any:
        """What `fit` takes as `validation_data`."""
        return self._group.distributed(self.validation)

    def first_epoch(self) -> tf.data.Dataset:
        """Whole batches of the training split."""
        return self._epoch(Share())(self._seed)

    def validation(self, share: Share | None = None) -> tf.data.Dataset:
        """Batches of the validation split, whole ones by default."""
        return impressions(self._directory, "valid", self._description, *self._tables, share=share)

    def batch_at(self, epoch: int, step: int) -> Any:
        """The whole batch of a step, both from 0, once more."""
        return next(iter(epoch_dataset(self._epoch(Share()), self._seed, epoch + 1, (epoch, step))))

    def _epoch(self, share: Share) -> Callable[..., tf.data.Dataset]:
        def make(seed: Any, skip: Any = 0) -> tf.data.Dataset:
            return impressions(
                self._directory, "train", self._description, *self._tables, seed=seed, skip=skip, share=share
            )

        return make
