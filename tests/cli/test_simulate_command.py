"""`e2egrec simulate`, end to end on very small logs."""

import json

import pyarrow.parquet as pq
import pytest

from tests.cli.job import e2egrec, fingerprints, refuse, succeed
from tf_e2egrec.comparison import one_run, processes
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.synthetic import short_video_description

SIZES = ("--impressions", 2_000, "--users", 100, "--videos", 80, "--days", 5, "--candidates", 6)
_SMALL = "model: {{dim: 8, heads: 2, tower_units: [8]}}\n"


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


@pytest.fixture
def in_process(monkeypatch):
    """A small model, trained in this process for speed; `stop_after` interrupts the next call after so many runs."""
    options = {"stop_after": None}

    def run_processes(directory, runs, *_):
        for number, one in enumerate(runs):
            if number == options["stop_after"]:
                options["stop_after"] = None
                raise Interruption
            assert one_run.main([str(directory.root), one.graph, one.model, str(one.seed)]) == 0

    monkeypatch.setattr(processes, "run_processes", run_processes)
    monkeypatch.setattr(one_run, "seconds_per_step", lambda *_: 0.1)  # what it costs is another test's matter
    tail = short_video_description._TAIL.replace("epochs: 3 ", "epochs: 1 ")
    monkeypatch.setattr(short_video_description, "_TAIL", tail + _SMALL)
    return options


def test_interrupted_resumed_and_marked_as_a_simulation(tmp_path, in_process):
    out = tmp_path / "simulation"
    command = ("simulate", "--out", out, "--models", "R0,R1", "--seeds", 1, "--bootstrap", 5, *SIZES)
    in_process["stop_after"] = 1
    with pytest.raises(Interruption):
        e2egrec(*command)
    assert not (out / "simulation.json").exists()
    before = fingerprints(out)
    done = succeed(*command)
    assert "1 of 2 runs are up to date" in done.out
    assert before.items() <= fingerprints(out).items()
    assert "data is up to date" in done.out
    assert "no leak found" in done.out
    assert "SIMULATION: users, videos and outcomes are generated" in done.out
    assert "simulation: short-video-simulation, regime equal" in " ".join(done.out.split())

    report = json.loads((out / "simulation.json").read_text())
    assert report["simulation"] is True
    assert report["reference"] == "R1"
    requests = pq.read_table(out / "data/interactions/day-04.parquet")
    assert report["context"]["candidates"] == len(requests)
    assert set(report["policies"]["1"]) == {"random", "popularity", "oracle", "oracle-score", "R0", "R1"}
    assert set(report["differences"]["5"]) == {"R0"}
    predicted = pq.read_table(
        CompareDirectory(out / "comparison").predictions("R0", 0) / "predictions.parquet"
    )
    assert len(predicted) == len(requests)
    assert (out / "simulation.md").read_text().startswith("# Simulation of policies")
    comparison = json.loads((out / "comparison/report.json").read_text())
    assert comparison["context"]["dataset"] == "short-video-simulation"

    markdown = (out / "simulation.md").read_bytes()
    assert "2 of 2 runs are up to date" in succeed(*command).out
    assert (out / "simulation.md").read_bytes() == markdown
    refuse(*command, "--graph-signal", 0.5, says=("holds the logs of another simulation", "another --out"))


def test_mistakes(tmp_path):
    out = tmp_path / "simulation"
    refuse("simulate", "--out", out, "--models", "R0,R9", says=("there is no model `R9`",))
    assert not out.exists()
    (tmp_path / "taken" / "data").mkdir(parents=True)
    refuse("simulate", "--out", tmp_path / "taken", *SIZES, says=("taken/data exists; remove it",))
