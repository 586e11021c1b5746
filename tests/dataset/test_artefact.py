import json

import pytest

from tf_e2egrec.dataset.artefact import (
    MANIFEST,
    Manifest,
    fingerprint_of,
    publish,
    read_manifest,
    replace_directory,
    require_match,
    restore_directory,
    write_manifest,
)
from tf_e2egrec.errors import E2EGRecError


def _manifest(**changes):
    return Manifest(
        **{"stage": "swing", "configuration": {"top": 3}, "fingerprint": "f", "inputs": "i", **changes}
    )


def _contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_fingerprints_depend_on_values_not_on_the_order_of_keys():
    assert fingerprint_of({"a": 1, "b": 2}, "x") == fingerprint_of({"b": 2, "a": 1}, "x")
    assert fingerprint_of("a", "b") != fingerprint_of("b", "a") != fingerprint_of("ba")


def test_manifest_round_trip(tmp_path):
    manifest = _manifest(counters={"edges": 4}, newest_edge_time=17, upstream="u")
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path, "swing", "e2egrec swing") == manifest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "holds no finished swing output; run `make it` first"),
        ("{", "is damaged; run `make it` again"),
        ("\xff", "is damaged"),
        (_manifest(stage="train").model_dump_json(), "made by stage `train`"),
        (_manifest(format_version=0).model_dump_json(), "format 0"),
    ],
)
def test_what_is_no_artefact_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(E2EGRecError, match=said):
        read_manifest(tmp_path, "swing", "make it")


def test_require_match(tmp_path):
    require_match(_manifest(), "f", tmp_path, "make it")
    with pytest.raises(E2EGRecError, match=r"fingerprint f, expected g.*run `make it` again"):
        require_match(_manifest(), "g", tmp_path, "make it")


def test_publish_replaces_the_whole_directory(tmp_path):
    target = tmp_path / "deep" / "graph"
    for text in ("old", "new"):
        with publish(target) as staging:
            (staging / f"{text}.txt").write_text(text)
            assert not (target / f"{text}.txt").exists()
    assert _contents(target) == {"new.txt": "new"}
    assert [path.name for path in target.parent.iterdir()] == ["graph"]


def test_a_failure_leaves_the_old_artefact(tmp_path):
    target = tmp_path / "graph"
    with publish(target) as staging:
        (staging / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), publish(target) as staging:
        (staging / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert _contents(target) == {"a.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_leftovers_of_killed_runs_are_removed(tmp_path):
    (tmp_path / ".graph.staging-dead").mkdir()
    (tmp_path / ".other.staging-live").mkdir()
    with publish(tmp_path / "graph"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.staging-live", "graph"]


def test_a_replacement_killed_between_its_renames_is_undone(tmp_path):
    """The older artefact, moved aside, comes back; what is being removed does not."""
    target = tmp_path / "graph"
    (tmp_path / ".graph.staging-old-1").mkdir()
    (tmp_path / ".graph.staging-old-1/a.txt").write_text("old")
    (tmp_path / ".graph.staging-gone-2").mkdir()
    restore_directory(target)
    assert _contents(target) == {"a.txt": "old"}
    restore_directory(target)
    with pytest.raises(KeyboardInterrupt), publish(target):
        assert _contents(target) == {"a.txt": "old"}
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]
    target.rename(tmp_path / ".graph.staging-old-3")
    with publish(target) as staging:
        assert _contents(target) == {"a.txt": "old"}
        (staging / "b.txt").write_text("new")
    assert _contents(target) == {"b.txt": "new"}


def test_a_rename_that_fails_puts_the_older_directory_back(tmp_path):
    target = tmp_path / "graph"
    target.mkdir()
    (target / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_directory(tmp_path / "nowhere", target)
    assert _contents(target) == {"a.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/train/a.tfrecord", "train/../../a"])
@pytest.mark.parametrize(
    "details",
    [lambda name: {"files": {"train": [{"file": name}]}}, lambda name: {"tables": [{"files": ["a", name]}]}],
)
def test_files_of_a_manifest_cannot_leave_its_directory(tmp_path, name, details):
    content = _manifest(details=details("train/a.tfrecord")).model_dump() | {"details": details(name)}
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(E2EGRecError, match=r"manifest.json is damaged; run `make it` again"):
        read_manifest(tmp_path, "swing", "make it")
