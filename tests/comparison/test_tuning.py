import itertools

import pytest

from tests.toy_data import DESCRIPTION, toy_description
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.tuning import choose, trial_runs, trials_of, tuning_grid, tuning_report
from tf_e2egrec.dataset.artefact import Manifest, write_manifest
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.compared_model import ComparedModel

D = toy_description()
GRID = {"training.learning_rate": [D.training.learning_rate, 0.01], "model.dim": [8, 16]}


def texts(models):
    return [model.text for model in models]


def test_the_options_replace_the_descriptions_grid():
    section = "comparison: {tuning: {training.epochs: [1, 2]}}\n"
    described = parse_description(DESCRIPTION + section, "toy.yaml")
    assert tuning_grid([], D) == {}
    assert tuning_grid([], described) == {"training.epochs": [1, 2]}
    options = [
        "training.learning_rate=0.001, 0.003",
        "model.layer_weights=[0.5,0.5],[0.9,0.1]",
        "model.fusion=gate+attention",
    ]
    assert tuning_grid(options, described) == {
        "training.learning_rate": [0.001, 0.003],
        "model.layer_weights": [[0.5, 0.5], [0.9, 0.1]],
        "model.fusion": ["gate+attention"],
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["training.epochs"], "`training.epochs` should be KEY=V1,V2"),
        (["training.epochs="], "should be KEY=V1,V2"),
        (["model.layer_weights=[1,2"], "should be KEY=V1,V2"),
        (
            ["graph.swing.beta=0,1"],
            "`graph.swing.beta` cannot be tuned: only keys of `training` and `model` can",
        ),
        (["epochs=1,2"], "`epochs` cannot be tuned"),
        (["training.epochs=1", "training.epochs=2"], "is given twice; name all its values at once"),
    ],
)
def test_options_that_are_no_grid(options, says):
    with pytest.raises(E2EGRecError, match=f"^--tune: .*{says}"):
        tuning_grid(options, D)


def test_every_combination_is_tried_and_the_descriptions_own_has_the_models_name():
    tried = trials_of(ComparedModel.parse("R5"), GRID, D)
    assert texts(tried) == [
        "R5",
        "R5@model.dim=16",
        "R5@training.learning_rate=0.01",
        "R5@model.dim=16+training.learning_rate=0.01",
    ]
    wanted = list(itertools.product(*GRID.values()))
    made = [one.described(D) for one in tried]
    assert [(one.training.learning_rate, one.model.dim) for one in made] == wanted


def test_what_a_model_sets_itself_is_left_alone():
    model = ComparedModel.parse("R5@model.dim=8+graph.swing.beta=0")
    assert texts(trials_of(model, GRID, D)) == [model.text, f"{model.text}+training.learning_rate=0.01"]
    fixed = ComparedModel.parse("R5@model.dim=8+training.learning_rate=0.5")
    assert trials_of(fixed, GRID, D) == [fixed]


def test_equal_values_and_equal_models_are_tried_once():
    tried = trials_of(ComparedModel.parse("R0"), {"training.learning_rate": [0.01, "1e-2", 0.01]}, D)
    assert texts(tried) == ["R0@training.learning_rate=0.01"]
    both = {"R0": tried, "R0@training.learning_rate=0.01": tried}
    (run,) = trial_runs(D, both)
    assert (run.model, run.seed, run.graph) == ("R0@training.learning_rate=0.01", 0, "swing")


def test_wrong_values_are_told_before_anything_runs():
    with pytest.raises(E2EGRecError, match=r"^the model `R0@training.learning_rate=-1`: .* greater than 0"):
        trials_of(ComparedModel.parse("R0"), {"training.learning_rate": [0.1, -1]}, D)
    with pytest.raises(E2EGRecError, match=r"R0@training.rate=0.1`: unknown key `training.rate`; valid keys"):
        trials_of(ComparedModel.parse("R0"), {"training.rate": [0.1]}, D)


@pytest.fixture
def finished(tmp_path):
    """Call with a list of validation AUCs: R5's trials, finished with these."""

    def finish(values):
        directory, tried = CompareDirectory(tmp_path), trials_of(ComparedModel.parse("R5"), GRID, D)
        for trial, value in zip(tried, values, strict=True):
            target = directory.validation(trial.text, 0)
            target.mkdir(parents=True)
            details = {"valid_auc": value}
            manifest = Manifest(stage="tune", configuration={}, fingerprint="", inputs="", details=details)
            write_manifest(target, manifest)
        return directory, {"R5": tried}

    return finish


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.6, 0.7, 0.65, 0.5], 1),
        ([0.7, 0.7, 0.7, 0.7], 0),  # the first of equal ones
        ([None, 0.5, None, 0.6], 3),  # a training that diverged
    ],
)
def test_the_best_validation_auc_is_chosen(finished, values, best):
    directory, trials = finished(values)
    chosen = choose(directory, trials)
    assert chosen == {"R5": trials["R5"][best]}
    report = tuning_report(directory, D, GRID, trials, chosen)
    of_model = report["models"]["R5"]
    assert [one["valid_auc"] for one in of_model["tried"]] == values
    assert of_model["tried"][best]["settings"] == of_model["chosen"]
    wanted = [dict(zip(GRID, one, strict=True)) for one in itertools.product(*GRID.values())]
    assert [one["settings"] for one in of_model["tried"]] == wanted
    assert (report["split"], report["seed"], report["keys"]) == ("valid", 0, list(GRID))


def test_a_model_that_always_diverges(finished):
    with pytest.raises(E2EGRecError, match="no setting of R5 has a validation AUC"):
        choose(*finished([None] * 4))
