"""Where a stage gets its impressions from, whatever the subgraphs stage wrote."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
from tf_e2egrec.subgraphs.seed_dataset import seed_dataset
from tf_e2egrec.subgraphs.seed_sampler import SeedSampler
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables
from tf_e2egrec.subgraphs.subgraph_dataset import record_files, subgraph_dataset


def impressions(
    directory: Path,
    split: str,
    description: DatasetDescription,
    item_table: FeatureTable,
    user_table: FeatureTable,
    *,
    files: Sequence[str] | None = None,
    seed: int | tf.Tensor | None = None,
    skip: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Batches of (batch graph, labels) of a split, with neighbours from the records or from the neighbour tables.

    Tables are read where the records have no neighbours, or `training.resample` asks for new ones.

    Args:
      directory: of the subgraphs stage, RUN_DIR/subgraphs.
      split: `train`, `valid` or `test`.
      description: what the stage was run with; `training` says how impressions are ordered and batched.
      item_table, user_table: the features.
      files: some of the split's files; all when absent.
      seed: to train: orders the impressions by `training.order` and samples as `training.resample` says. None keeps the
        order of the files (time) and never resamples.
      skip: batches at the start that are left out, before they are parsed and sampled.

    Raises:
      E2EGRecError: the split is empty, or the tables are missing.
    """
    files = record_files(directory, split) if files is None else files
    spec = description.training
    shuffle_seed = seed if spec.order == "shuffle" else None
    resample = "never" if seed is None else spec.resample
    if description.graph.sampling.has_neighbours_in_records and resample == "never":
        return subgraph_dataset(
            files, description, item_table, user_table, spec.batch_size, shuffle_seed=shuffle_seed, skip=skip
        )
    sampler = SeedSampler(
        tables=SnapshotTables(directory),
        plan=SnapshotPlan.from_description(description),
        sampler=NeighbourSampler.from_description(description, split),
    )
    return seed_dataset(
        files,
        description,
        item_table,
        user_table,
        sampler,
        spec.batch_size,
        shuffle_seed=shuffle_seed,
        resample=resample,
        resample_seed=0 if seed is None else seed,  # which may be a tensor
        skip=skip,
    )
