"""Every stage is killed at its changes of the file system, and run again: nobody reads half, and the end is the same."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.chain import BY_NAME, Chain, Stage
from tests.faults.digests import digests, leftovers
from tests.faults.share import share_of
from tests.faults.tally import COMPARED, INJECTED, SURVIVED, Tally
from tests.faults.warm_process import WarmProcess
from tf_e2egrec.cli.current import current, require_current_graph, require_current_subgraphs
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.stages.run_directory import RunDirectory

# How many of a stage's changes are struck in the whole run; all of them where none is given.
SIZES = (1_000, 20_000)
MOST = {"refresh": 30, "train": 7, "evaluate": 5, "export": 12}
PUBLISHED = "exists already; choose another --version"  # an export killed after its version appeared


def spread(count: int, most: int) -> list[int]:
    """At most so many places from 0 to count - 1, the first and the last among them."""
    places = np.linspace(0, count - 1, min(count, most))
    return sorted({round(float(place)) for place in places})


def kill_and_rerun(
    chain: Chain, stage: Stage, where: str, fault: dict[str, Any], run: Path, tally: Tally
) -> None:
    """One kill point: what stands there then, and after the same command again."""
    before, after = chain.before(stage), chain.after(stage)
    shutil.copytree(before, run)
    if not chain.run(stage, run, **fault).killed:
        return
    tally.count(INJECTED)
    where = f"{stage.name} killed {where}"
    old = {target: digests(before / target) for target in stage.targets}
    new = {target: digests(after / target) for target in stage.targets}
    is_sound = True
    for target in stage.targets:
        if digests(run / target) not in (None, old[target], new[target]):
            is_sound = False
            tally.fail(f"{where}: {target} is neither the old nor the new one")
    if stage.name == "refresh" and not later_stages_refuse_or_see_a_pair(chain, run, new):
        is_sound = False
        tally.fail(f"{where}: a later stage would read a graph and subgraphs of two nights")
    done = chain.run(stage, run)
    is_published = stage.name == "export" and PUBLISHED in done.err
    if done.code != 0 and not is_published:
        tally.fail(f"{where}: run again it says {done.err}")
        return
    for target in stage.targets:
        tally.count(COMPARED)
        counted = stage.name != "refresh"
        found, expected = (digests(one / target, with_counters=counted) or {} for one in (run, after))
        if found != expected:
            is_sound = False
            changed = sorted(k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k))
            tally.fail(f"{where}: run again, {target} differs in {', '.join(changed)}")
    # What is up to date is not touched: the rest of a replaced artefact goes when the stage next has something to do.
    was_done = is_published or "up to date" in done.out
    left = [name for name in leftovers(run) if not ("staging" in name and was_done)]
    if left:
        is_sound = False
        tally.fail(f"{where}: run again, {', '.join(left)} is left")
    tally.count(SURVIVED, int(is_sound))


def later_stages_refuse_or_see_a_pair(chain: Chain, run: Path, new: dict[str, dict[str, str] | None]) -> bool:
    """Whether training on all days' data would stop, or read the very artefacts that an undisturbed refresh makes."""
    description, directory = load_description(chain.whole), RunDirectory(run)
    is_current = [
        current(require, description, directory)
        for require in (require_current_graph, require_current_subgraphs)
    ]
    return is_current[1] is None or (
        is_current[0] is not None
        and all(digests(run / target) == expected for target, expected in new.items())
    )


def kill(chain: Chain, name: str, most: int | None, sizes: Sequence[int], folder: Path, tally: Tally) -> None:
    """`most` kill points of a stage; its share of the slow half where it is None."""
    stage = BY_NAME[name]
    changes = chain.changes(stage)
    most = most or share_of(min(len(changes), MOST.get(name, len(changes))))
    faults = [
        (f"before change {at} ({changes[at]})", {"kind": "kill", "at": at})
        for at in spread(len(changes), most)
    ]
    # Amid a write, whoever writes: the system kills a process one of whose files becomes larger.
    faults += [(f"at byte {size} of a file", {"most_bytes": size, "by_signal": True}) for size in sizes]
    for where, fault in faults:
        kill_and_rerun(chain, stage, where, fault, folder / "run", tally)
        shutil.rmtree(folder / "run")


@pytest.mark.parametrize(("name", "most"), [("swing", 4), ("subgraphs", 4), ("refresh", 4)])
def test_a_sample(chain: Chain, tmp_path: Path, tally: Tally, name: str, most: int) -> None:
    kill(chain, name, most, SIZES[:1], tmp_path, tally)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_stage(chain: Chain, tmp_path: Path, tally: Tally, name: str) -> None:
    kill(chain, name, None, SIZES, tmp_path, tally)


def kill_training(warm: WarmProcess, folder: Path, most: int | None, tally: Tally) -> None:
    """The same for a training that saves a checkpoint every other step, and for each file operation of its checkpoints."""
    whole = folder / "whole"
    whole.mkdir()
    undisturbed = warm.call("tests.faults.toy_training:train", str(whole), below=whole)
    assert undisturbed.code == 0, undisturbed.err
    expected = json.loads((whole / "model/record.json").read_text())
    for at in spread(len(undisturbed.changes), most or share_of(len(undisturbed.changes))):
        run = folder / "run"
        run.mkdir()
        killed = warm.call("tests.faults.toy_training:train", str(run), below=run, kind="kill", at=at)
        assert killed.killed
        tally.count(INJECTED)
        where = f"training killed before change {at} ({undisturbed.changes[at]})"
        again = warm.call("tests.faults.toy_training:train", str(run), below=run)
        record = run / "model/record.json"
        if again.code != 0:
            tally.fail(f"{where}: run again it says {again.err}")
        elif json.loads(record.read_text()) != expected:
            tally.fail(f"{where}: run again, weights, slots or history differ")
        elif leftovers(run):
            tally.fail(f"{where}: run again, {', '.join(leftovers(run))} is left")
        else:
            tally.count(SURVIVED)
        tally.count(COMPARED)
        shutil.rmtree(run)


def test_a_sample_of_a_training(warm: WarmProcess, tmp_path: Path, tally: Tally) -> None:
    kill_training(warm, tmp_path, 8, tally)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_every_change_of_a_training(warm: WarmProcess, tmp_path: Path, tally: Tally) -> None:
    kill_training(warm, tmp_path, None, tally)
