"""`e2egrec compare` and `e2egrec report`, end to end on the small data set."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from tests.cli.job import e2egrec, fingerprints, manifest, refuse, rewrite, succeed
from tf_e2egrec.comparison import one_run, processes
from tf_e2egrec.comparison.compare import forget, missing_runs
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.one_run import predictions_fingerprint
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.dataset.artefact import Manifest, fingerprint_of, read_manifest, write_manifest
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.evaluation.report import evaluate_predictions
from tf_e2egrec.stages.compared_model import ComparedModel
from tf_e2egrec.stages.train import train_fingerprint


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


@pytest.fixture
def in_process(monkeypatch):
    """Runs in this process, for speed; returns the runs that were made. `stop_after` interrupts the next call."""
    made: list[tuple[str, int]] = []
    options = {"stop_after": None}

    def run_processes(directory, runs, jobs, console, split="test"):
        make = one_run.run_one if split == "test" else one_run.validate_one
        hidden = hide_test_split(directory) if split == "valid" else []
        for number, one in enumerate(runs):
            if number == options["stop_after"]:
                options["stop_after"] = None
                raise Interruption
            make(directory, directory.run(one.graph), one.model, one.seed)
            made.append((one.model, one.seed) if split == "test" else (one.model, one.seed, split))
        for place in hidden:
            place.with_name("hidden").rename(place)

    monkeypatch.setattr(processes, "run_processes", run_processes)
    return made, options


def hide_test_split(directory):
    """Move the test records of every graph away, and forget predictions on them; whoever needs them fails."""
    assert not (directory.root / "predictions").exists()
    found = [path for path in (directory.root / "graphs").glob("*/subgraphs/test") if any(path.iterdir())]
    assert found
    for path in found:
        path.rename(path.with_name("hidden"))
    return found


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
    assert report["slices"]["graph"] == "swing"
    for dimension, bins in report["slices"]["dimensions"].items():
        counted = [one["rows"] for one in bins if one["bin"] != "< 1 d"]
        assert sum(counted) == len(columns["user"]), dimension
    assert set(report["stay_baselines"]["differences"]["R5"]) == {"mean of training", "median by duration"}
    assert report["stay_baselines"]["baselines"]["mean of training"]["xauc"] == 0.5
    assert "AUC by item age" in done.out
    for cost in report["costs"].values():
        assert cost["seconds_per_step"] > 0
        assert cost["parameters"] > 1000
        assert cost["refresh_seconds"] == 0  # nothing is pretrained in R0 and R5
        assert cost["training_seconds"] is None  # trained by another command, which measured nothing

    for model in ("R0", "R5"):
        curves = report["curves"][model]["0"]
        assert len(curves["history"]["val_auc"]) == curves["history"]["epoch"][-1]
        assert set(curves["weights"].get("tasks", ())) == ({"ssl", "ltr"} if model == "R5" else set())
        rows_of_bins = report["calibration"][model]["per_seed"]["0"]["rows"]
        assert sum(rows_of_bins) == rows.num_rows
    assert report["configuration"] == {"graph": "swing", "text": data.read_text()}
    assert f"wrote {started / 'report.html'}" in done.out

    written = {name: (started / name).read_bytes() for name in ("report.md", "report.html")}
    for name in written:
        (started / name).unlink()
    assert "wrote" in succeed("report", started).out
    assert {name: (started / name).read_bytes() for name in written} == written
    assert "2 of 2 runs are up to date" in succeed(*command).out
    assert len(made) == 2


def test_what_another_description_makes_missing(data, started, tmp_path):
    """Predictions of another training are not taken for those of this one."""
    directory = CompareDirectory(started)
    shutil.copy(data, directory.run("swing").description_file)
    runs = [PlannedRun(model, 0, "swing", model) for model in ("R0", "R5")]
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


def test_predictions_of_an_earlier_version_are_those_of_a_plain_model(data, started):
    """Their fingerprint never knew of settings, tuning or a section for comparisons."""
    subgraphs = read_manifest(CompareDirectory(started).run("swing").subgraphs, "subgraphs", "")
    described = load_description(data)
    for name in ("R0", "R5-random-graph"):
        expected = fingerprint_of(
            "compare",
            train_fingerprint(described, name, 3, subgraphs),
            described.evaluation.model_dump(mode="json"),
        )
        assert predictions_fingerprint(described, ComparedModel.parse(name), 3, subgraphs) == expected


def test_tuned_on_the_validation_split_alone_and_resumed(data, started, in_process):
    """The test records are not there while settings are tuned (see `hide_test_split`)."""
    made, options = in_process
    fixed = "R0@training.learning_rate=0.03"
    command = ("compare", data, "--out", started, "--models", f"R0,{fixed}", "--bootstrap", 4)
    command += ("--tune", "training.learning_rate=0.003,3e-2", "--leak-sample", 0)
    options["stop_after"] = 1
    with pytest.raises(Interruption):
        e2egrec(*command)
    assert made == [("R0", 0, "valid")]  # the description's own rate is the model itself, trained before
    for place in started.glob("graphs/*/subgraphs/hidden"):
        place.rename(place.with_name("test"))
    done = succeed(*command)
    assert made[1] == (fixed, 0, "valid")  # what R0 tries and what the other is
    assert "1 of 2 trials are up to date" in done.out

    report, aucs = json.loads((started / "report.json").read_text()), {}
    directory = CompareDirectory(started)
    for text in ("R0", fixed):
        rows = pq.read_table(directory.validation(text, 0) / "predictions.parquet")
        assert rows.num_rows == manifest(directory.run("swing").subgraphs).counters["impressions_valid"]
        aucs[text] = roc_auc_score(rows["reward"], rows["predicted_reward"])
    best, tuned = max(aucs, key=aucs.get), report["tuning"]["models"]
    tried = {one["settings"]["training.learning_rate"]: one["valid_auc"] for one in tuned["R0"]["tried"]}
    assert tried == pytest.approx({0.003: aucs["R0"], 0.03: aucs[fixed]}, abs=1e-9)
    assert tuned["R0"]["chosen"] == {"training.learning_rate": 0.03 if best == fixed else 0.003}
    assert [one["valid_auc"] for one in tuned[fixed]["tried"]] == [tried[0.03]]
    chosen = {"R0": best, fixed: fixed}
    assert set(made[2:]) == {(text, 0) for text in chosen.values()}
    assert list(report["models"]) == ["R0", fixed]
    for label, text in chosen.items():
        rows = pq.read_table(directory.predictions(text, 0) / "predictions.parquet")
        auc = report["models"][label]["per_seed"]["0"]["overall"]["auc"]
        assert auc == pytest.approx(roc_auc_score(rows["reward"], rows["predicted_reward"]))
    assert "tuning (validation only)" in (started / "report.md").read_text()


def test_a_setting_that_diverges_is_left_out_and_stops_nothing(data, started, in_process):
    command = ("compare", data, "--out", started, "--models", "R0", "--bootstrap", 4, "--leak-sample", 0)
    succeed(*command, "--tune", "training.learning_rate=0.003,1e6")
    report = json.loads((started / "report.json").read_text())
    tuned = report["tuning"]["models"]["R0"]
    aucs = {one["settings"]["training.learning_rate"]: one["valid_auc"] for one in tuned["tried"]}
    assert aucs[1e6] is None
    assert 0 < aucs[0.003] < 1
    assert tuned["chosen"] == {"training.learning_rate": 0.003}
    assert in_process[0][-1] == ("R0", 0)


def test_a_model_with_a_graph_of_its_own(data, started, in_process):
    made, _ = in_process
    fewer = "R0@graph.sampling.fanout=5"
    done = succeed(
        "compare", data, "--out", started, "--models", f"R0,{fewer}", "--bootstrap", 4, "--leak-sample", 0
    )
    assert made == [("R0", 0), (fewer, 0)]
    own, shared = sorted(path.name for path in (started / "graphs").iterdir())[::-1]
    assert (shared, own[:6]) == ("swing", "swing-")
    assert f"shares the edges of {started / 'graphs' / 'swing' / 'graph'}" in done.out
    subgraphs = [manifest(started / "graphs" / name / "subgraphs") for name in (shared, own)]
    assert [one.configuration["graph"]["sampling"]["fanout"] for one in subgraphs] == [20, 5]
    assert len({one.upstream for one in subgraphs}) == 1
    report = json.loads((started / "report.json").read_text())
    assert list(report["models"]) == ["R0", fewer]
    assert {one["graph"] for one in report["leak_checks"]} == {shared, own}
    assert report["context"]["models"][1] == f"{fewer}: ranker without graph (graph.sampling.fanout=5)"


def _pretend(directory, data, run, model):
    """Leave the manifest that the predictions of a model would have."""
    subgraphs = read_manifest(directory.run("swing").subgraphs, "subgraphs", "")
    compared = ComparedModel.parse(model)
    fingerprint = predictions_fingerprint(load_description(data), compared, run.seed, subgraphs)
    target = directory.predictions(run.model, run.seed)
    target.mkdir(parents=True)
    write_manifest(target, Manifest(stage="compare", configuration={}, fingerprint=fingerprint, inputs=""))


def test_a_planted_leak_stops_before_anything_is_trained(data, started, in_process):
    made, _ = in_process
    graph = started / "graphs" / "swing"
    content = json.loads((graph / "graph/manifest.json").read_text())
    newest = max(content["details"]["snapshots"].values(), key=lambda one: one["valid_from"])
    newest["newest_event_time"] = newest["valid_from"]
    (graph / "graph/manifest.json").write_text(json.dumps(content))
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
    for model, says in {
        "R5@graph.sampling.fanot=5": r"the model `R5@graph.sampling.fanot=5`: unknown key .*did you mean `fanout`",
        "R5@training.epochs=0": "`training.epochs`: input should be greater than or equal to 1",
        "R5@split.train_until=2026-01-07": "would change which rows are compared",
        "R5-gate-attention@model.heads=3": "`heads` should divide `dim`",
    }.items():
        refuse("compare", data, "--out", out, "--models", f"R0,{model}", says=(says,))
    for tune, says in {
        "graph.swing.beta=0": "`graph.swing.beta` cannot be tuned",
        "training.epochs=1,0": "the model `R0@training.epochs=0`",
        "model.dim=8,0": "the model `R0@model.dim=0`: `model.dim`: input should be greater",
    }.items():
        refuse("compare", data, "--out", out, "--models", "R0,R5", "--tune", tune, says=(says,))
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


@pytest.mark.slow
def test_settings_and_tuning_in_processes(data, tmp_path):
    """Names with brackets reach the processes, the file system and TensorFlow's savers."""
    out, weights = tmp_path / "compare", "R5@model.layer_weights=[0.9,0.1]"
    command = ("compare", data, "--out", out, "--models", f"R0,{weights}", "--jobs", 2, "--bootstrap", 4)
    done = succeed(*command, "--tune", "training.learning_rate=0.003,0.03")
    assert done.out.count(" to go") == 4 + 2
    report = json.loads((out / "report.json").read_text())
    assert list(report["models"]) == list(report["tuning"]["models"]) == ["R0", weights]
    tried = [one["valid_auc"] for one in report["tuning"]["models"][weights]["tried"]]
    assert len(set(tried)) == 2
    assert {path.name for path in (out / "graphs" / "swing" / "models").iterdir()} >= {
        "R5@model.layer_weights=%5B0.9,0.1%5D",
        "R5@model.layer_weights=%5B0.9,0.1%5D+training.learning_rate=0.03",
    }
