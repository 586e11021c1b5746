"""`e2egrec compare` and `e2egrec report`, end to end on the small data set."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from tests.cli.job import e2egrec, fingerprints, refuse, rewrite, succeed
from tf_e2egrec.dataset.artefact import Manifest, read_manifest, write_manifest
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.evaluation.report import evaluate_predictions
from tf_e2egrec.stages import compare_processes, compare_run
from tf_e2egrec.stages.compare import forget, missing_runs
from tf_e2egrec.stages.compare_directory import CompareDirectory
from tf_e2egrec.stages.compare_processes import PlannedRun
from tf_e2egrec.stages.compare_run import predictions_fingerprint


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


@pytest.fixture
def in_process(monkeypatch):
    """Runs in this process, for speed; returns the runs that were made. `stop_after` interrupts the next call."""
    made: list[tuple[str, int]] = []
    options = {"stop_after": None}

    def run_processes(directory, runs, jobs, console):
        for number, one in enumerate(runs):
            if number == options["stop_after"]:
                options["stop_after"] = None
                raise Interruption
            compare_run.run_one(directory, directory.run(one.edges), one.model, one.seed)
            made.append((one.model, one.seed))

    monkeypatch.setattr(compare_processes, "run_processes", run_processes)
    return made, options


@pytest.fixture
def started(job, tmp_path):
    """DIR of a comparison whose graph and models are those of the small job, and nothing else is there."""
    target = CompareDirectory(tmp_path / "compare").run("swing")
    for name in ("graph", "subgraphs", "models"):
        shutil.copytree(job[0] / name, target.root / name)
    return tmp_path / "compare"


def test_interrupted_resumed_and_reported(data, started, in_process):
    made, options = in_process
    command = ("compare", data, "--out", started, "--models", "R0,R5", "--bootstrap", 10)
    options["stop_after"] = 1
    with pytest.raises(Interruption):
        e2egrec(*command)
    assert made == [("R0", 0)]
    assert not (started / "report.json").exists()
    before = fingerprints(started)
    done = succeed(*command)
    assert made == [("R0", 0), ("R5", 0)]  # what was finished is not repeated
    assert "1 of 2 runs are up to date" in done.out
    assert "no leak found" in done.out
    assert "regime equal, frozen, 1 seed" in done.out
    assert before.items() <= fingerprints(started).items()

    report = json.loads((started / "report.json").read_text())
    rows = pq.read_table(CompareDirectory(started).predictions("R0", 0) / "predictions.parquet")
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    expected = evaluate_predictions(
        reward=columns["reward"],
        reward_probability=columns["predicted_reward"],
        user=columns["user"],
        day=columns["time"].astype("datetime64[ms]").astype("datetime64[D]").astype(str),
    )
    overall = report["models"]["R0"]["per_seed"]["0"]["overall"]
    for metric in ("auc", "gauc", "logloss", "ndcg@10"):
        assert overall[metric] == pytest.approx(expected["overall"][metric])
    assert list(report["differences"]["days"]) == list(expected["days"])
    for cost in report["costs"].values():
        assert cost["seconds_per_step"] > 0
        assert cost["parameters"] > 1000
        assert cost["training_seconds"] is None  # trained by another command, which measured nothing

    markdown = (started / "report.md").read_bytes()
    (started / "report.md").unlink()
    assert "wrote" in succeed("report", started).out
    assert (started / "report.md").read_bytes() == markdown
    assert "2 of 2 runs are up to date" in succeed(*command).out
    assert len(made) == 2


def test_what_another_description_makes_missing(data, started, tmp_path):
    """Predictions of another training are not taken for those of this one."""
    directory = CompareDirectory(started)
    shutil.copy(data, directory.run("swing").description_file)
    runs = [PlannedRun(model, 0, "swing") for model in ("R0", "R5")]
    for run, trained in zip(runs, ("R0", "R0"), strict=True):
        _pretend(directory, data, run, trained)
    assert missing_runs(directory, runs) == runs[1:]
    rewrite(
        directory.run("swing").description_file, lambda content: content["training"].update(batch_size=1024)
    )
    assert missing_runs(directory, runs) == runs
    rewrite(
        directory.run("swing").description_file, lambda content: content["training"].update(batch_size=512)
    )
    assert missing_runs(directory, runs) == runs[1:]
    forget(directory, runs)
    assert missing_runs(directory, runs) == runs


def _pretend(directory, data, run, model):
    """Leave the manifest that the predictions of a model would have."""
    subgraphs = read_manifest(directory.run("swing").subgraphs, "subgraphs", "")
    fingerprint = predictions_fingerprint(load_description(data), model, run.seed, subgraphs)
    target = directory.predictions(run.model, run.seed)
    target.mkdir(parents=True)
    write_manifest(target, Manifest(stage="compare", configuration={}, fingerprint=fingerprint, inputs=""))


def test_a_planted_leak_stops_before_anything_is_trained(data, started, in_process):
    made, _ = in_process
    graph = started / "graphs" / "swing"
    manifest = json.loads((graph / "graph/manifest.json").read_text())
    newest = max(manifest["details"]["snapshots"].values(), key=lambda one: one["valid_from"])
    newest["newest_event_time"] = newest["valid_from"]
    (graph / "graph/manifest.json").write_text(json.dumps(manifest))
    refuse(
        "compare",
        data,
        "--out",
        started,
        "--models",
        "R0,R5",
        says=("error: leak: snapshot", "make the graph again"),
    )
    assert made == []


def test_mistakes(data, tmp_path):
    out = tmp_path / "compare"
    refuse(
        "compare", data, "--out", out, "--models", "R0,R9", says=("there is no model `R9`", "choose from R0")
    )
    refuse("compare", data, "--out", out, "--models", ",", says=("no model is named",))
    refuse("report", tmp_path, says=("holds no report.json; run `e2egrec compare` first",))
    assert not out.exists()


@pytest.mark.slow
def test_two_models_two_seeds_and_the_random_graph_in_processes(data, tmp_path):
    out = tmp_path / "compare"
    names = "R0,R5,R5-random-graph"
    done = succeed(
        "compare", data, "--out", out, "--models", names, "--seeds", 2, "--jobs", 2, "--bootstrap", 20
    )
    assert done.out.count(" to go") == 6
    report = json.loads((out / "report.json").read_text())
    assert set(report["differences"]["overall"]) == {"R0", "R5-random-graph"}
    assert report["differences"]["overall"]["R0"]["auc"]["seeds"] == 2
    assert report["context"]["jobs"] == 2
    sizes = {model: cost["parameters"] for model, cost in report["costs"].items()}
    assert sizes["R5"] == sizes["R5-random-graph"]
    assert min(cost["peak_memory_mib"] for cost in report["costs"].values()) > 100
    assert {one["graph"] for one in report["leak_checks"]} == {"swing", "random"}
