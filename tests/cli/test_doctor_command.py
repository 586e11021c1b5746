"""`e2egrec doctor`: what it finds, what it advises, its exit code."""

import collections
import json
import shutil

import pytest

from tests.cli.job import e2egrec, succeed
from tf_e2egrec.cli import installation
from tf_e2egrec.cli.installation import Check, disk, model_server, packages

Usage = collections.namedtuple("Usage", "total used free")


def test_this_machine_is_ready():
    found = json.loads(succeed("doctor", "--json").out)
    assert found["is_ready"]
    by_name = {check["name"]: check for check in found["checks"]}
    assert {
        "Python",
        "packages",
        "TensorFlow",
        "GPU",
        "Beam runner, local",
        "TensorFlow Serving",
        "memory",
    } <= set(by_name)
    assert "with Keras 2" in by_name["TensorFlow"]["found"]
    assert all(check["is_sound"] or check["advice"] for check in found["checks"])
    said = succeed("doctor").out
    assert "everything that is needed is there" in said


def test_what_is_needed_and_missing_is_said_and_told_by_the_exit_code(monkeypatch):
    lacking = Check("numba", "not installed", is_sound=False, advice="pip install 'numba>=0.62'")
    spare = Check("GPU", "none", is_sound=False, is_needed=False, advice="buy [one]")
    monkeypatch.setattr(installation, "look_around", lambda directory: [lacking, spare])
    done = e2egrec("doctor")
    assert (done.code, done.err) == (1, "")
    assert "pip install 'numba>=0.62'" in done.out
    assert "buy [one]" in done.out
    assert "missing: numba" in done.out
    done = e2egrec("doctor", "--json")
    assert done.code == 1
    assert json.loads(done.out)["is_ready"] is False


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("numpy>=1", None),
        ("numpy<1", "(asked for: <1)"),
        ("no-such-package>=2", "not installed"),
        ("numpy<1; extra == 'dev'", None),
    ],
)
def test_packages(requirement, found):
    checks = list(packages(["rich>=1", requirement]))
    if found is None:
        assert [check.name for check in checks] == ["packages"]
        assert checks[0].is_sound
    else:
        assert [check.is_sound for check in checks] == [False]
        assert found in checks[0].found
        assert checks[0].advice == f"pip install '{requirement.replace('; ', ';')}'"


def test_a_full_disk(tmp_path):
    full = disk(tmp_path, "disk", lambda path: Usage(10 << 30, 9 << 30, 1 << 30))
    assert (full.found.split(" GiB")[0], full.is_sound, full.is_needed) == ("1.0", False, False)
    assert disk(tmp_path, "disk", lambda path: Usage(10 << 30, 0, 10 << 30)).is_sound


def test_a_directory_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(installation.os, "access", lambda path, mode: False)
    check = disk(tmp_path, "disk")
    assert (check.is_sound, check.is_needed) == (False, True)


def test_the_model_server(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORFLOW_MODEL_SERVER", str(tmp_path / "none"))
    check = model_server()
    assert not check.is_sound
    assert "is no program that can be run" in check.found
    binary = tmp_path / "server"
    shutil.copy("/bin/true", binary)
    monkeypatch.setenv("TENSORFLOW_MODEL_SERVER", str(binary))
    assert (model_server().found, model_server().is_sound) == (str(binary), True)
    monkeypatch.delenv("TENSORFLOW_MODEL_SERVER")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert "not on PATH" in model_server().found
