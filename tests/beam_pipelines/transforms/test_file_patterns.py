import gzip

import pytest
import yaml

from beam_pipelines.transforms.file_patterns import absolute_pattern, input_fingerprint, match_files, open_raw
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError

DESCRIPTION = {
    "name": "test",
    "interactions": {
        "paths": "log-*.csv",
        "user": "u",
        "item": "i",
        "time": {"column": "t", "unit": "ms"},
        "behaviours": {"click": {"always": True}},
    },
    "users": {"paths": "users.csv", "id": "u", "features": [{"name": "age", "type": "numeric"}]},
    "ranker": {"reward": "click"},
    "graph": {"positive": ["click"], "explicit": ["click"]},
    "split": {"by": "user_fraction", "train_until": 0.8, "valid_until": 0.9},
}


def _fill(folder, log="u,i,t\n"):
    folder.mkdir()
    (folder / "log-1.csv").write_text(log)
    (folder / "log-2.csv").write_text("u,i,t\n")
    (folder / "users.csv").write_text("u,age\n")
    return parse_description(yaml.safe_dump(DESCRIPTION), "test.yaml").with_data_root(str(folder))


def test_files_come_once_and_in_order(tmp_path):
    _fill(tmp_path / "data")
    files = match_files(
        ["log-2.csv", "log-*.csv", str(tmp_path / "data" / "users.csv")], str(tmp_path / "data"), "k"
    )
    assert [file.path.rsplit("/", 1)[1] for file in files] == ["log-1.csv", "log-2.csv", "users.csv"]
    assert [file.size_in_bytes for file in files] == [6, 6, 6]


@pytest.mark.parametrize("pattern", ["day-*.csv", "log-1.csv.gz", "no/such/folder/*"])
def test_a_pattern_without_files_names_its_key(tmp_path, pattern):
    _fill(tmp_path / "data")
    with pytest.raises(E2EGRecError, match=r"no file matches `.*` \(named by `interactions.0.paths`\)"):
        match_files(["log-*.csv", pattern], str(tmp_path / "data"), "interactions.0.paths")


def test_an_unknown_file_system(tmp_path):
    with pytest.raises(E2EGRecError, match=r"`nofs://bucket/a.csv` \(named by `k`\) cannot be reached"):
        match_files(["nofs://bucket/a.csv"], str(tmp_path), "k")


def test_only_relative_patterns_start_at_the_data_root():
    assert absolute_pattern("a/*.csv", "/data") == "/data/a/*.csv"
    assert absolute_pattern("/other/a.csv", "/data") == "/other/a.csv"
    assert absolute_pattern("gs://bucket/a.csv", "/data") == "gs://bucket/a.csv"


def test_gzip_files_are_opened_as_they_are_stored(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x"))
    with open_raw(str(tmp_path / "a.csv.gz")) as stream:
        assert stream.read(2) == b"\x1f\x8b"


def test_the_fingerprint_depends_on_names_and_contents_but_not_on_the_folder(tmp_path):
    first = input_fingerprint(_fill(tmp_path / "a"))
    assert first == input_fingerprint(_fill(tmp_path / "b"))
    assert first != input_fingerprint(_fill(tmp_path / "c", log="u,i,s\n"))
    description = _fill(tmp_path / "d")
    (tmp_path / "d" / "log-2.csv").rename(tmp_path / "d" / "log-3.csv")
    assert first != input_fingerprint(description)
