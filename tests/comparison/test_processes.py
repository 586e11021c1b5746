"""The pool, with small programs in the place of trainings."""

import io
import re
import sys

import pytest
from rich.console import Console

from tf_e2egrec.comparison import memory_cap, processes
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.processes import PlannedRun, run_processes, time_left
from tf_e2egrec.errors import E2EGRecError

RUNS = [PlannedRun("R0", seed, "swing", "R0") for seed in range(3)]

# Called with the split, DIR, graph, model and seed, as the real one.
PROGRAM = """
import pathlib, sys, time, os, signal
split, directory, graph, model, seed = sys.argv[-5:]
place = pathlib.Path(directory)
(place / f"began-{seed}").touch()
MODE
(place / f"ended-{seed}").touch()
"""


def run(monkeypatch, tmp_path, mode, jobs=1, **options):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("MODE", mode))
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(processes.sys, "executable", str(interpreter))
    out = Console(file=io.StringIO(), width=200)
    run_processes(CompareDirectory(tmp_path), RUNS, jobs, out, **options)
    return out.file.getvalue()


def names(tmp_path, word):
    return sorted(path.name for path in tmp_path.glob(f"{word}-*"))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_run_is_run_once(monkeypatch, tmp_path, jobs):
    said = run(monkeypatch, tmp_path, "print(model)", jobs)
    assert names(tmp_path, "ended") == ["ended-0", "ended-1", "ended-2"]
    assert said.count(" to go") == 3
    assert CompareDirectory(tmp_path).log("R0", 1).read_text() == "R0\n"


@pytest.mark.parametrize(("options", "split"), [({}, "test"), ({"split": "valid"}, "valid")])
def test_what_a_run_is_told(monkeypatch, tmp_path, options, split):
    run(monkeypatch, tmp_path, "print(split, graph, model, seed)", **options)
    assert CompareDirectory(tmp_path).log("R0", 2).read_text() == f"{split} swing R0 2\n"


def test_the_time_left_is_said_when_a_run_ends(monkeypatch, tmp_path):
    lines = [line for line in run(monkeypatch, tmp_path, "pass").splitlines() if " to go" in line]
    assert [re.sub(r"(?<=: )\d+ s|\d:\d\d:\d\d", "T", line) for line in lines] == [
        "  R0 seed 0: T, 2 to go, T left",
        "  R0 seed 1: T, 1 to go, T left",
        "  R0 seed 2: T, 0 to go",
    ]


def test_memory_keeps_runs_waiting_once_a_peak_is_known(monkeypatch, tmp_path):
    """The first three could begin; when it is known what one holds, one at a time goes on."""
    monkeypatch.setattr(memory_cap, "free_memory", lambda: 3 << 30)
    monkeypatch.setattr(memory_cap, "held_memory", lambda processes: 0)
    costs = CompareDirectory(tmp_path).costs("R0", 9)
    costs.parent.mkdir()
    costs.write_text('{"peak_memory_mib": 2048}')
    mode = "assert len(list(place.glob('began-*'))) == 1 + len(list(place.glob('ended-*')))"
    said = run(monkeypatch, tmp_path, mode, jobs=3)
    assert names(tmp_path, "ended") == ["ended-0", "ended-1", "ended-2"]
    assert said.count("1 at a time instead of 3: a run has held 2.0 GiB, and 3.0 GiB are free") == 1


def test_jobs_run_side_by_side(monkeypatch, tmp_path):
    """Each waits until all three have begun: one at a time would never end."""
    wait = "while len(list(place.glob('began-*'))) < 3: time.sleep(0.01)"
    run(monkeypatch, tmp_path, wait, jobs=3)
    assert len(names(tmp_path, "ended")) == 3


def test_a_mistake_is_its_sentence_and_stops_the_others(monkeypatch, tmp_path):
    mode = """
if seed == "1":
    while not (place / "began-0").exists(): time.sleep(0.01)
    sys.exit(print("error: the reward never happens", file=sys.stderr) or 2)
time.sleep(600)
"""
    with pytest.raises(E2EGRecError, match=r"^R0 seed 1: the reward never happens$"):
        run(monkeypatch, tmp_path, mode, jobs=2)
    assert names(tmp_path, "ended") == []
    assert "began-2" not in names(tmp_path, "began")


def test_a_killed_run_says_that_memory_may_be_short(monkeypatch, tmp_path):
    with pytest.raises(E2EGRecError, match=r"R0 seed 0 was killed by signal 9, .*memory; lower --jobs"):
        run(monkeypatch, tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")


def test_a_mistake_of_ours_shows_where(monkeypatch, tmp_path):
    with pytest.raises(
        RuntimeError, match=r"(?s)R0 seed 0 failed with exit code 1; .*log ends with.*KeyError"
    ):
        run(monkeypatch, tmp_path, "{}['x']")


def test_time_left():
    assert "after the first run" in time_left([], [3.0], 2, 1)
    assert time_left([100.0, 140.0], [20.0], 2, 1) == "0:05:40 left"  # 100 of this one and twice 120
    assert time_left([100.0, 140.0], [20.0, 20.0], 2, 2) == "0:03:40 left"
    assert time_left([10.0], [50.0], 0, 1) == "0:00:00 left"
