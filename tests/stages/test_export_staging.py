import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tf_e2egrec.stages import export_staging as module
from tf_e2egrec.stages.export_staging import LEFT_AFTER_SECONDS, export_staging


def left(base: Path, name: str, age: float = 0.0) -> Path:
    """A staging directory with a file, of a certain age in seconds."""
    path = base / name
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_text("half")
    for one in (path / "saved_model.pb", path):
        os.utime(one, (time.time() - age,) * 2)
    return path


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_is_there_for_as_long_as_it_is_needed(tmp_path):
    base = tmp_path / "models" / "m"
    with export_staging(base) as staging:
        assert staging.parent == base
        assert not staging.name.isdigit()
        (staging / "1").mkdir()
    assert list(base.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), export_staging(base):
        raise KeyboardInterrupt
    assert list(base.iterdir()) == []


def test_two_at_once_leave_each_other_alone(tmp_path):
    with export_staging(tmp_path) as first, export_staging(tmp_path) as second:
        assert first != second
        assert first.is_dir()
        assert second.is_dir()


def test_what_killed_exports_left_is_removed(tmp_path):
    host = module._host()
    gone = [
        left(tmp_path, f".staging-{host}-{ended_process()}-0123abcd"),
        left(tmp_path, ".staging-0123abcd", LEFT_AFTER_SECONDS + 60),
        left(tmp_path, ".staging-another-host-17-0123abcd", LEFT_AFTER_SECONDS + 60),
        left(
            tmp_path, f".staging-{host}-{os.getpid()}-89abcdef", LEFT_AFTER_SECONDS + 60
        ),  # a number used again
    ]
    kept = [
        left(tmp_path, f".staging-{host}-{os.getpid()}-0123abcd"),
        left(tmp_path, f".staging-another-host-{ended_process()}-0123abcd"),
        left(tmp_path, ".staging-01234567", LEFT_AFTER_SECONDS - 60),
        left(tmp_path, "1", LEFT_AFTER_SECONDS + 60),
        left(tmp_path, ".other", LEFT_AFTER_SECONDS + 60),
    ]
    with export_staging(tmp_path):
        assert [path.exists() for path in gone] == [False] * len(gone)
        assert all(path.is_dir() for path in kept)


def test_a_directory_that_is_still_written_to_is_young(tmp_path):
    path = left(tmp_path, ".staging-0123abcd", LEFT_AFTER_SECONDS + 60)
    (path / "saved_model.pb").write_text("more")
    os.utime(path, (time.time() - LEFT_AFTER_SECONDS - 60,) * 2)
    with export_staging(tmp_path):
        assert path.is_dir()


def test_hosts_of_odd_names(monkeypatch, tmp_path):
    monkeypatch.setattr(module.platform, "node", lambda: "a-b/c")
    process = ended_process()
    path = left(tmp_path, f".staging-a_b_c-{process}-0123abcd")
    with export_staging(tmp_path) as staging:
        assert staging.name.startswith(".staging-a_b_c-")
        assert not path.exists()
