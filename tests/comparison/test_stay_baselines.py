import math
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cli.job import read_logs
from tf_e2egrec.comparison.stay_baselines import MEAN, MEDIAN, read_stay_baselines, stay_baselines
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3000), st.integers(1, 60))
@example(2542, 2542, 51)  # a cut at 11/20 of 1,801 rows: rounded, that is one row too far
def test_the_median_is_that_of_a_bucket_of_like_durations(seed, n, distinct):
    """Buckets by brute force: cuts at the 20-quantiles, rows of one duration never apart."""
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, distinct + 1, n).astype("f4")
    duration[rng.random(n) < 0.1] = np.nan
    stay = rng.integers(0, 500, n).astype("f4")
    stay[rng.random(n) < 0.2] = np.nan
    asked = np.r_[duration, np.float32([np.nan, 0.5, distinct + 9])].astype("f4")
    found = stay_baselines(stay, duration, asked)
    labelled = ~np.isnan(stay)
    if not labelled.any():
        assert found == {}
        return
    np.testing.assert_allclose(found[MEAN], np.full(len(asked), stay[labelled].mean()), rtol=1e-5)
    known = labelled & ~np.isnan(duration)
    count = min(20, known.sum() // 50)
    ordered = np.sort(duration[known])
    cuts = {ordered[math.ceil(Fraction(k * (len(ordered) - 1), int(count)))] for k in range(1, count)}
    cuts = np.array(sorted(cut for cut in cuts if cut > ordered[0]), "f4")
    for value, prediction in zip(asked, found[MEDIAN], strict=True):
        bucket = known & ((cuts <= value).sum() == (cuts[:, None] <= duration).sum(axis=0))
        if np.isnan(value) or not bucket.any():
            bucket = labelled
        assert prediction == pytest.approx(np.median(stay[bucket]), rel=1e-5)


def test_without_durations_the_median_is_that_of_all_rows():
    stay = np.float32([1, 2, 9, np.nan])
    found = stay_baselines(stay, np.full(4, np.nan, "f4"), np.float32([np.nan, 7]))
    assert found[MEDIAN].tolist() == [2.0, 2.0]
    assert found[MEAN].tolist() == [4.0, 4.0]


@pytest.fixture
def small(job):
    run = RunDirectory(job[0])
    names = {"time": "time", "user": "user_id", "item": "item_id"}
    batches = readout_columns(record_files(run.subgraphs, "test"), dict.fromkeys(names.values(), "int64"))
    read = list(batches.as_numpy_iterator())
    return run, {mine: np.concatenate([batch[name] for batch in read]) for mine, name in names.items()}


def test_baselines_of_the_small_job(small, data, tmp_path):
    run, rows = small
    found = read_stay_baselines(tmp_path / "stay", run, rows)
    assert found[MEAN].shape == found[MEDIAN].shape == rows["time"].shape
    logs = read_logs(data.parent)
    time, stay = logs["time_ms"].to_numpy(), np.minimum(logs["stay_s"].to_numpy(), 600)
    split = run.description().split
    first, last = (
        np.datetime64(bound, "ms").astype(np.int64) for bound in (split.labels_from, split.train_until)
    )
    of_training = (time >= first) & (time < last)
    assert found[MEAN][0] == pytest.approx(np.nanmean(stay[of_training]), rel=1e-5)
    assert len(set(found[MEDIAN].tolist())) > 3
    again = read_stay_baselines(tmp_path / "stay", run, rows)
    np.testing.assert_array_equal(again[MEDIAN], found[MEDIAN])
    stored = pq.read_table(tmp_path / "stay" / "rows.parquet")
    assert stored.column_names == ["time", "user", "item", MEAN, MEDIAN]


def test_predictions_of_other_rows_are_refused(small, tmp_path):
    run, rows = small
    other = {**rows, "item": rows["item"][::-1]}
    with pytest.raises(
        E2EGRecError, match=r"other test rows than .*test holds; run `e2egrec compare --force`"
    ):
        read_stay_baselines(tmp_path / "stay", run, other)
    assert not (tmp_path / "stay").exists()
