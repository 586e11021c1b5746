"""The main job on neighbour tables: the other input of the same models."""

import json
import shutil

import numpy as np
import pytest

from tests.cli.job import manifest, refuse, rewrite, succeed
from tf_e2egrec.stages.predict import predict_test
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model


@pytest.fixture
def with_table(data, run_copy, tmp_path):
    """A run whose subgraphs were made again with `format: table`, and the description file."""

    def change(content):
        content["graph"]["sampling"]["format"] = "table"
        content["training"].update(resample="step")

    changed = rewrite(data, change, tmp_path / "changed.yaml")
    arguments = ("--data", data.parent, "--out", run_copy)
    assert "is up to date" in succeed("swing", changed, *arguments).out
    done = succeed("subgraphs", changed, *arguments)
    assert "neighbour tables" in done.out
    assert "is up to date" in succeed("subgraphs", changed, *arguments).out
    return run_copy, changed, arguments


def predictions(run):
    """Of the model that records have trained."""
    subgraphs = manifest(run.subgraphs)
    return predict_test(load_model(run.model("R5", 0)), run, run.description(), subgraphs)


def test_a_model_predicts_the_same_from_records_and_from_tables(job, with_table):
    ours, theirs = predictions(RunDirectory(with_table[0])), predictions(RunDirectory(job[0]))
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_from_tables_to_an_exported_model(with_table):
    run, changed, arguments = with_table
    refuse("evaluate", run, says=("was trained on other subgraphs",))
    shutil.rmtree(run / "models/R0")
    succeed("run", changed, *arguments, "--models", "R5")
    trained = manifest(run / "models/R5/seed-0")
    assert trained.configuration["training"]["resample"] == "step"
    assert trained.upstream == manifest(run / "subgraphs").fingerprint
    assert 0 < trained.details["valid_auc"] < 1  # of toy data: that it is a number
    report = json.loads((run / "evaluation/report.json").read_text())
    assert list(report["models"]) == ["R5"]
    assert sorted(path.name for path in (run / "export/R5").iterdir()) == ["1", "2"]
