"""What `FileChanges` counts and strikes does not depend on which of two threads is first."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.warm_process import ROOT

# One hook stays until its process ends, so that each case has a process of its own.
_SCRIPT = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tests.faults.file_changes import FileChanges

folder, kind, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
changes = FileChanges(str(folder), kind, at)

def make(place):
    try:
        (folder / f"edges/{place % 2}/deep").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.errno
    return 0

with ThreadPoolExecutor(8) as pool:
    ended = list(pool.map(make, range(64)))
print(json.dumps([sorted(changes.seen), ended]))
"""


def made(folder: Path, kind: str, at: int) -> tuple[list[str], list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, folder, kind, str(at)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    seen, ended = json.loads(done.stdout)
    return seen, ended


@pytest.mark.parametrize("repeat", range(5))
def test_a_directory_is_made_once(tmp_path: Path, repeat: int) -> None:
    seen, ended = made(tmp_path, "count", repeat)
    names = ["edges", "edges/0", "edges/0/deep", "edges/1", "edges/1/deep"]
    assert seen == [f"os.mkdir {name}" for name in names]
    assert ended == [0] * 64


@pytest.mark.parametrize("repeat", range(3))
def test_no_directory_is_made_on_a_full_disk(tmp_path: Path, repeat: int) -> None:
    """Not by a second try either, which a struck first one has to precede."""
    _, ended = made(tmp_path, "ENOSPC", 0)
    assert ended == [errno.ENOSPC] * 64
    assert not list(tmp_path.iterdir())
