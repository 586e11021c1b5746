"""A full disk, a read-only place, a missing permission: one sentence, exit code 2, and what stood there before stands there still."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.chain import BY_NAME, Chain
from tests.faults.digests import digests, leftovers
from tests.faults.tally import COMPARED, INJECTED, SURVIVED, Tally
from tests.faults.warm_process import Ended

SAYS = {
    "ENOSPC": "no space is left for .*; free some, or choose another directory",
    "EACCES": "no permission for .*; choose another directory or change its mode",
    "EROFS": "lies on a read-only file system; choose another directory",
    "EDQUOT": "the quota is used up by .*; free some space",
}
KIBIBYTE = 1024


def require_refused(done: Ended, says: str) -> None:
    assert not done.killed
    assert "Traceback" not in done.err + done.out, done.err[-3000:]
    assert done.code == 2, done.err + done.out
    assert done.err.startswith("error: "), done.err
    assert done.err.count("\n") == 1, done.err
    assert re.search(says, done.err), done.err


def strike(chain: Chain, name: str, error: str, place: float, folder: Path, tally: Tally) -> None:
    """From one of the stage's changes on, everything that needs space or a permission fails; afterwards it works again."""
    stage = BY_NAME[name]
    before, after = chain.before(stage), chain.after(stage)
    run = Path(shutil.copytree(before, folder / "run"))
    needing = [
        i for i, change in enumerate(chain.changes(stage)) if change.split()[0] in ("open", "os.mkdir")
    ]
    at = needing[round(place * (len(needing) - 1))]
    done = chain.run(stage, run, kind=error, at=at)
    tally.count(INJECTED)
    require_refused(done, SAYS[error])
    counted = name != "refresh"
    for target in stage.targets:  # the new one where only the copy of the description could not be written
        whole = [digests(one / target, counted) for one in (before, after)]
        assert digests(run / target, counted) in whole
    assert not leftovers(run)
    assert chain.run(stage, run).code == 0
    for target in stage.targets:
        tally.count(COMPARED)
        assert digests(run / target, counted) == digests(after / target, counted)
    tally.count(SURVIVED)
    shutil.rmtree(run)


@pytest.mark.parametrize("error", SAYS)
def test_swing_and_subgraphs_at_a_place_that_takes_nothing(
    chain: Chain, tmp_path: Path, tally: Tally, error: str
) -> None:
    strike(chain, "swing", error, 0.5, tmp_path, tally)
    if error == "ENOSPC":
        strike(chain, "subgraphs", error, 0.7, tmp_path, tally)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("name", ["swing", "subgraphs"])
def test_every_stage_on_a_disk_that_fills(chain: Chain, tmp_path: Path, tally: Tally, name: str) -> None:
    for place in (0.0, 0.3, 0.6, 1.0):
        strike(chain, name, "ENOSPC", place, tmp_path, tally)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 16 MiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path, left: int) -> Path:
    """Fill a disk up to some bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left))
    return filler


@pytest.mark.parametrize(("name", "left"), [("swing", 8), ("subgraphs", 8), ("subgraphs", 256)])
def test_a_disk_that_is_full(chain: Chain, small_disk: Path, tally: Tally, name: str, left: int) -> None:
    full_disk(chain, small_disk, tally, name, left)


def full_disk(chain: Chain, disk: Path, tally: Tally, name: str, left: int) -> None:
    """Also what TensorFlow, HDF5 and Arrow write by themselves meets a full disk here."""
    stage = BY_NAME[name]
    run = Path(shutil.copytree(chain.before(stage), disk / "run"))
    filler = fill(disk, left * KIBIBYTE)
    done = chain.run(stage, run)
    tally.count(INJECTED)
    require_refused(done, SAYS["ENOSPC"])
    for target in stage.targets:
        assert digests(run / target) == digests(chain.before(stage) / target)
    filler.unlink()
    assert chain.run(stage, run).code == 0
    for target in stage.targets:
        tally.count(COMPARED)
        counted = name != "refresh"
        assert digests(run / target, counted) == digests(chain.after(stage) / target, counted)
    tally.count(SURVIVED)


def test_a_read_only_disk(chain: Chain, small_disk: Path, tally: Tally) -> None:
    stage = BY_NAME["subgraphs"]
    run = Path(shutil.copytree(chain.before(stage), small_disk / "run"))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    tally.count(INJECTED)
    require_refused(chain.run(stage, run), SAYS["EROFS"])
    assert digests(run / "subgraphs") == digests(chain.before(stage) / "subgraphs")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert chain.run(stage, run).code == 0
    tally.count(SURVIVED)
