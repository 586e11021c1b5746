import shutil

import numpy as np
import pytest

from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.stages.predict import predict_splits, predict_test
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model


def rows_of(job, protocol):
    run = RunDirectory(job[0])
    description = run.description()
    evaluation = description.evaluation.model_copy(update={"protocol": protocol})
    description = description.model_copy(update={"evaluation": evaluation})
    network = load_model(run.model("R5", 0))
    before = network.get_weights()
    rows = predict_test(
        network, run, description, read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
    )
    changed = any((a != b).any() for a, b in zip(before, network.get_weights(), strict=True))
    return rows, changed


def test_frozen_predicts_every_test_row_and_changes_nothing(job):
    rows, changed = rows_of(job, "frozen")
    expected = read_manifest(RunDirectory(job[0]).subgraphs, "subgraphs", "e2egrec subgraphs").counters[
        "impressions_test"
    ]
    assert len(rows["reward"]) == expected
    assert not changed
    assert np.isfinite(rows["predicted_reward"]).all()


def test_rolling_meets_the_same_rows_and_learns_between_the_days(job):
    frozen, _ = rows_of(job, "frozen")
    rolling, changed = rows_of(job, "rolling")
    assert changed
    for name in ("reward", "user", "item", "time"):
        np.testing.assert_array_equal(rolling[name], frozen[name])
    assert (np.diff(rolling["time"]) >= 0).all()
    assert np.abs(rolling["predicted_reward"] - frozen["predicted_reward"]).max() > 1e-4


def test_rolling_never_trains_on_a_day_before_it_is_predicted(job, monkeypatch):
    """The labels of the last test day must not change any prediction."""
    plain, _ = rows_of(job, "rolling")
    from tf_e2egrec.stages import predict

    last = plain["time"].max() // 86_400_000
    original = predict.impressions

    def flipped(*arguments, **options):
        def flip(graph, labels):
            is_last = graph.node_sets["_readout"]["time"] // 86_400_000 == last
            return graph, {
                **labels,
                "reward": predict.tf.where(is_last, 1 - labels["reward"], labels["reward"]),
            }

        return original(*arguments, **options).map(flip)

    monkeypatch.setattr(predict, "impressions", flipped)
    perturbed, _ = rows_of(job, "rolling")
    assert (perturbed["reward"] != plain["reward"]).any()
    np.testing.assert_allclose(perturbed["predicted_reward"], plain["predicted_reward"], atol=1e-5)


@pytest.mark.parametrize("protocol", ["frozen", "rolling"])
def test_the_validation_split_is_predicted_without_the_test_split(job, run_copy, protocol):
    """The same figures, whether the test records are there and asked for or not there at all."""

    def predict(root, splits):
        run = RunDirectory(root)
        description = run.description()
        evaluation = description.evaluation.model_copy(update={"protocol": protocol})
        description = description.model_copy(update={"evaluation": evaluation})
        subgraphs = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
        return predict_splits(load_model(run.model("R5", 0)), run, description, subgraphs, splits)

    shutil.rmtree(run_copy / "subgraphs" / "test")
    alone, both = predict(run_copy, ("valid",)), predict(job[0], ("valid", "test"))
    assert list(alone) == ["valid"]
    for name, values in alone["valid"].items():
        np.testing.assert_array_equal(values, both["valid"][name])
