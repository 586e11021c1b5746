"""Where a stage gets its impressions from, whatever the subgraphs stage wrote."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.impression_dataset import impression_dataset
from tf_e2egrec.subgraphs.impression_records import ImpressionRecords
from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
from tf_e2egrec.subgraphs.seed_sampler import SeedSampler
from tf_e2egrec.subgraphs.share import Share
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables
from tf_e2egrec.subgraphs.subgraph_dataset import record_files


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
    share: Share | None = None,
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
      skip: batches at the start that are left out; they cost nothing.
      share: the parts of each batch that this process reads, where several replicas share it; the whole when absent.

    Raises:
      E2EGRecError: the split is empty, a file is damaged, or the tables are missing.
    """
    files = record_files(directory, split) if files is None else files
    spec, sampling = description.training, description.graph.sampling
    resample = "never" if seed is None else spec.resample
    has_swing = sampling.has_neighbours_in_records and resample == "never"
    sampler = (
        None
        if has_swing
        else SeedSampler(
            tables=SnapshotTables(directory),
            plan=SnapshotPlan.from_description(description),
            sampler=NeighbourSampler.from_description(description, split),
        )
    )
    return impression_dataset(
        ImpressionRecords(files, description, has_swing),
        item_table,
        user_table,
        spec.batch_size,
        sampler,
        seed=seed,
        shuffles=spec.order == "shuffle",
        resample=resample,
        skip=skip,
        share=share,
    )
