"""The pool, with small programs in the place of trainings."""

import io
import sys

import pytest
from rich.console import Console

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages import compare_processes
from tf_e2egrec.stages.compare_directory import CompareDirectory
from tf_e2egrec.stages.compare_processes import PlannedRun, run_processes, time_left

RUNS = [PlannedRun("R0", seed, "swing") for seed in range(3)]

# Called with DIR, edges, model and seed, as the real one.
PROGRAM = """
import pathlib, sys, time, os, signal
directory, edges, model, seed = sys.argv[-4:]
place = pathlib.Path(directory)
(place / f"began-{seed}").touch()
MODE
(place / f"ended-{seed}").touch()
"""


def run(monkeypatch, tmp_path, mode, jobs=1):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("MODE", mode))
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(compare_processes.sys, "executable", str(interpreter))
    out = Console(file=io.StringIO(), width=200)
    run_processes(CompareDirectory(tmp_path), RUNS, jobs, out)
    return out.file.getvalue()


def names(tmp_path, word):
    return sorted(path.name for path in tmp_path.glob(f"{word}-*"))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_run_is_run_once(monkeypatch, tmp_path, jobs):
    said = run(monkeypatch, tmp_path, "print(model)", jobs)
    assert names(tmp_path, "ended") == ["ended-0", "ended-1", "ended-2"]
    assert said.count(" to go") == 3
    assert CompareDirectory(tmp_path).log("R0", 1).read_text() == "R0\n"


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
