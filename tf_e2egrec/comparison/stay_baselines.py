"""Stay predictions that need no model: the mean of the training rows, and their median by content duration."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_e2egrec.comparison.columns import Columns, cached_columns, digest_of
from tf_e2egrec.dataset.artefact import fingerprint_of, read_manifest
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.losses import fit_duration_quantiles, seconds_at
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files

STAGE = "stay-baselines"
MEAN, MEDIAN = "mean of training", "median by duration"
DURATION_BUCKETS = 20
_VERSION = 1
_ROW_COLUMNS = {"time": "time", "user": "user_id", "item": "item_id"}  # of predictions -> of records


def read_stay_baselines(target: Path, run: RunDirectory, rows: Columns) -> Columns:
    """What both baselines predict for the test rows; made once and kept in `target`.

    Args:
      target: the artefact's directory.
      run: with the subgraphs whose training split is learned from.
      rows: `time`, `user`, `item` of the predictions, int64 [n].

    Returns:
      `MEAN` and `MEDIAN`, float32 [n] seconds; nothing where no training row has a label.

    Raises:
      E2EGRecError: the test records are not the rows of the predictions.
    """
    subgraphs = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
    fingerprint = fingerprint_of(STAGE, _VERSION, subgraphs.fingerprint, digest_of(rows))

    def make() -> Columns:
        trained = _columns(run, "train", {"stay": tf.float32, "content_duration": tf.float32})
        wanted = dict.fromkeys(_ROW_COLUMNS.values(), tf.int64)
        tested = _columns(run, "test", {**wanted, "content_duration": tf.float32})
        if not all(np.array_equal(tested[name], rows[mine]) for mine, name in _ROW_COLUMNS.items()):
            raise E2EGRecError(
                f"the predictions are of other test rows than {run.subgraphs / 'test'} holds; run `e2egrec compare --force`"
            )
        return stay_baselines(trained["stay"], trained["content_duration"], tested["content_duration"])

    return cached_columns(target, STAGE, fingerprint, subgraphs.inputs, rows, make)


def stay_baselines(stay: np.ndarray, duration: np.ndarray, asked: np.ndarray) -> Columns:
    """Fit both baselines on training rows, and ask them.

    The median is that of the training rows in the same of `DURATION_BUCKETS` buckets of equal frequency, and of all labelled
    rows where the duration is unknown.

    Args:
      stay: float32 [m] seconds, NaN where there is no label.
      duration: float32 [m] seconds of the content, NaN where unknown.
      asked: float32 [n], the durations of the rows to predict.

    Returns:
      `MEAN` and `MEDIAN`, float32 [n] seconds; nothing where no training row has a label.
    """
    labelled = stay[np.isfinite(stay)].astype(np.float64)
    if not len(labelled):
        return {}
    table = fit_duration_quantiles(stay, duration, groups=DURATION_BUCKETS, quantiles=3)
    median = seconds_at(tf.fill([len(asked)], 0.5), tf.constant(asked, tf.float32), table)
    return {MEAN: np.full(len(asked), labelled.mean(), np.float32), MEDIAN: median.numpy()}


def _columns(run: RunDirectory, split: str, dtypes: dict[str, tf.DType]) -> Columns:
    batches = list(readout_columns(record_files(run.subgraphs, split), dtypes).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in dtypes}
