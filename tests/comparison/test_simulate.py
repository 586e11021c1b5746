import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.export.export_toys import toy_module
from tests.toy_data import serialize, toy_description, toy_records
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.simulate import simulate_policies
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.policy_outcomes import combined_score
from tf_e2egrec.export.ranking_module import STAY_SHARE
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

MODELS = {"R0": "R0: without a graph", "R5": "R5: the full model"}
CONFIG = ShortVideoConfig(users=150, videos=100, days=5, impressions=3_000, request_candidates=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The description of simulated logs, the requests, and their truth."""
    dataset = write_short_video(CONFIG, tmp_path_factory.mktemp("simulated") / "data")
    requests = pq.read_table(dataset.parent / "interactions" / f"day-{CONFIG.days - 1:02d}.parquet")
    truth = pq.read_table(dataset.parent / "requests_truth.parquet")
    return load_description(dataset), requests, truth


@pytest.fixture
def directory(data, tmp_path):
    """Predictions of a model that knows the truth (R5) and of one that guesses (R0), each in an order of its own."""
    _, requests, truth = data
    rng = np.random.default_rng(0)
    found = CompareDirectory(tmp_path)
    for seed in range(2):
        for model in ("R0", "R5"):
            knows = model == "R5"
            n = len(requests)
            rows = {
                "user": requests["user_id"].to_numpy(),
                "item": requests["video_id"].to_numpy(),
                "time": requests["time_ms"].to_numpy(),
                "reward": requests["is_click"].to_numpy().astype("f4"),
                "stay": requests["stay_s"].to_numpy(),
                "predicted_reward": truth["click_probability"].to_numpy() if knows else rng.random(n),
                "predicted_stay": truth["expected_stay_s"].to_numpy() if knows else rng.exponential(3, n),
            }
            path = found.predictions(model, seed)
            path.mkdir(parents=True)
            pq.write_table(pa.table(rows).take(rng.permutation(n)), path / "predictions.parquet")
    return found


def test_policies_against_the_logs(data, directory):
    description, requests, _ = data
    steps = []
    report = simulate_policies(directory, description, MODELS, 2, 4, lambda: steps.append(1))
    assert len(steps) == 2 * 4
    assert report["context"]["models"] == list(MODELS.values())
    assert report["context"]["candidates"] == len(requests)
    best = report["policies"]["1"]
    assert list(best) == ["random", "popularity", "oracle", "oracle-score", "R0", "R5"]
    # Who predicts the truth is the oracle of the same score; no policy expects more stay than the oracle.
    for metric in ("stay_per_exposure", "skips_per_user", "play_rate", "expected_play_rate"):
        assert best["R5"][metric]["mean"] == pytest.approx(best["oracle-score"][metric]["mean"])
    means = {name: one["expected_stay_per_exposure"]["mean"] for name, one in best.items()}
    assert max(means, key=means.get) == "oracle"
    assert means["R5"] > 2 * max(means["R0"], means["random"])
    assert [one["seeds"] for one in best.values()] == [2, 1, 1, 1, 2, 2]

    # The popularity policy, from the log files by plain loops.
    counts = {}
    for day in range(CONFIG.days - 1):
        log = pq.read_table(f"{description.data_root}/interactions/day-{day:02d}.parquet")
        for video, click in zip(log["video_id"].to_pylist(), log["is_click"].to_pylist(), strict=True):
            counts[video] = counts.get(video, 0) + click
    shown = {}
    for row in requests.to_pylist():
        key = (-counts.get(row["video_id"], 0), row["video_id"])
        if row["user_id"] not in shown or key < shown[row["user_id"]][0]:
            shown[row["user_id"]] = key, row
    rows = [row for _, row in shown.values()]
    found = best["popularity"]
    assert found["play_rate"]["mean"] == pytest.approx(np.mean([row["is_click"] for row in rows]))
    assert found["stay_per_exposure"]["mean"] == pytest.approx(np.mean([row["stay_s"] for row in rows]))
    skipped = [row["is_click"] == 0 or row["stay_s"] < 3 for row in rows]
    assert found["skips_per_user"]["mean"] == pytest.approx(np.mean(skipped))


@pytest.mark.parametrize("change", ["another item", "a missing row"])
def test_predictions_of_other_rows_are_refused(data, directory, change):
    path = directory.predictions("R5", 1) / "predictions.parquet"
    table = pq.read_table(path)
    if change == "another item":
        items = table["item"].to_numpy().copy()
        items[0] += 1
        table = table.set_column(table.column_names.index("item"), "item", pa.array(items))
    pq.write_table(table.slice(1) if change == "a missing row" else table, path)
    with pytest.raises(
        E2EGRecError, match=r"seed-1/predictions\.parquet predicts other rows than the requests"
    ):
        simulate_policies(directory, data[0], MODELS, 2, 2)


def test_the_score_is_the_one_of_an_export():
    description, module = toy_description(), toy_module("examples")
    served = module.score_examples(tf.constant(serialize(toy_records(30))))
    reward, stay, score = (served[name].numpy() for name in ("reward", "stay_seconds", "score"))
    assert stay.std() > 0
    maximum = description.interactions[0].stay.maximum
    np.testing.assert_allclose(combined_score(reward, stay, maximum, STAY_SHARE), score, rtol=1e-6)


def test_simulated_logs_are_needed(directory, tmp_path):
    ordinary = dataclasses.replace(CONFIG, request_candidates=None)
    description = load_description(write_short_video(ordinary, tmp_path / "ordinary"))
    with pytest.raises(E2EGRecError, match=r"holds no requests_truth\.parquet"):
        simulate_policies(directory, description, MODELS, 2, 2)
