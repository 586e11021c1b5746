import json

import pytest

from tf_e2egrec.comparison import memory_cap
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.memory_cap import MemoryCap

GIB = 1 << 30


@pytest.fixture
def memory(monkeypatch, tmp_path):
    """What is free and what a process holds, in GiB; and the directory of the comparison."""
    given = {"free": 10.0, "each": 0.0}
    monkeypatch.setattr(memory_cap, "free_memory", lambda: given["free"] and int(given["free"] * GIB))
    monkeypatch.setattr(memory_cap, "held_memory", lambda ids: int(len(ids) * given["each"] * GIB))
    return given, CompareDirectory(tmp_path)


def finish(directory, model, gib):
    path = directory.costs(model, 0)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"peak_memory_mib": None if gib is None else gib * 1024}))


def test_jobs_alone_count_until_a_peak_is_known(memory):
    _, directory = memory
    cap = MemoryCap(directory, 3)
    assert [cap.allows([1] * running) for running in range(5)] == [True, True, True, False, False]
    finish(directory, "R0", None)
    cap.look()
    assert cap.allows([1, 2])
    assert (cap.news(), cap.limit) == ("", 3)


@pytest.mark.parametrize(
    ("peak", "free", "most"), [(2.0, 10.0, 5), (2.0, 9.9, 4), (6.0, 10.0, 1), (20.0, 10.0, 1)]
)
def test_as_many_as_the_free_memory_holds(memory, peak, free, most):
    given, directory = memory
    given["free"] = free
    finish(directory, "R0", peak / 2)
    finish(directory, "R5", peak)  # the largest counts
    cap = MemoryCap(directory, 8)
    assert [cap.allows([1] * running) for running in range(8)] == [running < most for running in range(8)]


def test_what_the_running_hold_is_theirs_already(memory):
    """Free memory shrinks by what they hold: that must not count twice."""
    given, directory = memory
    finish(directory, "R0", 4.0)
    cap = MemoryCap(directory, 8)
    given.update(free=6.0, each=3.0)  # two run and hold 6 of the 12; each may grow to 4
    assert cap.allows([1, 2])
    given.update(free=5.9)
    assert not cap.allows([1, 2])
    assert cap.limit == 2


def test_it_is_said_once(memory):
    given, directory = memory
    finish(directory, "R0", 4.0)
    cap = MemoryCap(directory, 8)
    assert not cap.allows([1, 2])
    assert cap.news() == "2 at a time instead of 8: a run has held 4.0 GiB, and 10.0 GiB are free"
    assert not cap.allows([1, 2])
    assert cap.news() == ""
    given["free"] = 5.0
    assert not cap.allows([1])
    assert cap.news().startswith("1 at a time")


def test_a_system_that_does_not_say(memory):
    given, directory = memory
    given["free"] = None
    finish(directory, "R0", 4000.0)
    assert MemoryCap(directory, 3).allows([1, 2])
