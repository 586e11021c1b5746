import json
import shutil

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from tests.cli.job import manifest, succeed
from tf_e2egrec.stages import evaluate
from tf_e2egrec.stages.evaluate import evaluate_models
from tf_e2egrec.stages.run_directory import RunDirectory


def test_validation_figures_stand_apart_and_need_no_test_records(run_copy):
    before = (run_copy / "evaluation" / "report.json").read_bytes()
    shutil.rmtree(run_copy / "subgraphs" / "test")
    shutil.rmtree(run_copy / "models" / "R5")
    done = succeed("evaluate", run_copy, "--split", "valid")
    assert "Figures of the validation split" in done.out
    target = run_copy / "evaluation-valid"
    report = json.loads((target / "report.json").read_text())
    assert report["context"]["split"] == "valid"
    rows = pq.read_table(target / "predictions-R0-seed-0.parquet")
    assert rows.num_rows == manifest(run_copy / "subgraphs").counters["impressions_valid"]
    expected = roc_auc_score(rows["reward"], rows["predicted_reward"])
    assert report["models"]["R0"]["overall"]["auc"]["mean"] == pytest.approx(expected)
    assert (run_copy / "evaluation" / "report.json").read_bytes() == before
    assert "is up to date" in succeed("evaluate", run_copy, "--split", "valid").out


def test_the_splits_have_fingerprints_of_their_own(run_copy):
    shutil.copytree(run_copy / "evaluation", run_copy / "evaluation-valid")
    assert evaluate.current_report(RunDirectory(run_copy)) is not None
    assert evaluate.current_report(RunDirectory(run_copy), "valid") is None


def test_a_comparisons_models_are_met_with_the_settings_of_their_name(run_copy, monkeypatch):
    """A graph's directory of a comparison is a run directory, too: rows come in batches of the model's own size."""
    models = run_copy / "models"
    shutil.rmtree(models / "R5")
    (models / "R0").rename(models / "R0@training.batch_size=100+model.layer_weights=%5B0.9,0.1%5D")
    met = {}

    def predict_splits(network, run, description, subgraphs, splits, label):
        met[label] = (description.training.batch_size, description.model.layer_weights)
        return original(network, run, description, subgraphs, splits)

    original = evaluate.predict_splits
    monkeypatch.setattr(evaluate, "predict_splits", predict_splits)
    report = evaluate_models(RunDirectory(run_copy))
    assert list(met.values()) == [(100, (0.9, 0.1))]
    assert list(report["models"]) == ["R0@training.batch_size=100+model.layer_weights=[0.9,0.1]"]
