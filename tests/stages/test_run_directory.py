"""Where a run keeps what it was made from."""

from pathlib import Path

import pytest

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory


def test_the_description_and_the_folder_of_the_data_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, run = tmp_path / "mine.yaml", RunDirectory(tmp_path / "run")
    run.root.mkdir()
    source.write_text("name: a\n")
    assert run.kept_data_root() is None
    monkeypatch.chdir(tmp_path)
    run.keep_description(source, "logs")
    assert run.description_file.read_text() == "name: a\n"
    assert run.kept_data_root() == str(tmp_path / "logs")
    before = {path: path.stat().st_mtime_ns for path in run.root.iterdir()}
    run.keep_description(source, str(tmp_path / "logs"))
    assert {path: path.stat().st_mtime_ns for path in run.root.iterdir()} == before

    source.write_text("name: b\n")
    run.keep_description(source, "gs://bucket/logs")
    assert run.description_file.read_text() == "name: b\n"
    assert run.kept_data_root() == "gs://bucket/logs"
    assert len(list(run.root.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_damaged_note_is_none(tmp_path: Path, content: bytes) -> None:
    run = RunDirectory(tmp_path)
    run.data_root_file.write_bytes(content)
    assert run.kept_data_root() is None


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(E2EGRecError, match="is not a run directory"):
        RunDirectory(tmp_path).description()
