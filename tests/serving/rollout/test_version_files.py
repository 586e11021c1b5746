from collections.abc import Callable
from pathlib import Path

import pytest
from tensorflow.core.protobuf import saved_model_pb2

from serving.batching_parameters import PER_MODEL_FILE, BatchingParameters
from serving.rollout.version_files import (
    DEFAULT_BATCHING,
    add_batching_parameters,
    newest_version,
    require_whole,
)
from tf_e2egrec.errors import E2EGRecError


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version with all that is looked at, two shards of weights among it."""
    directory = tmp_path / "m" / "12"
    (directory / "variables").mkdir(parents=True)
    model = saved_model_pb2.SavedModel()
    model.meta_graphs.add().meta_info_def.tags.append("serve")
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())
    for name in ("index", "data-00000-of-00002", "data-00001-of-00002"):
        (directory / f"variables/variables.{name}").write_bytes(b"x")
    return directory


def test_a_whole_version(version: Path) -> None:
    assert require_whole(version.parent, 12) == version


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: (path / "saved_model.pb").unlink(), "has no saved_model.pb"),
        (lambda path: (path / "saved_model.pb").write_bytes(b""), "no graph with the tag `serve`"),
        (lambda path: (path / "saved_model.pb").write_bytes(b"\x0a\xff"), "cut off"),
        (lambda path: (path / "variables/variables.index").unlink(), "no variables/variables.index"),
        (
            lambda path: (path / "variables/variables.data-00001-of-00002").unlink(),
            "files of variables/ are missing",
        ),
    ],
)
def test_a_version_that_lacks_something(version: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(version)
    with pytest.raises(E2EGRecError, match=rf"12 is not a whole version \(.*{says}"):
        require_whole(version.parent, 12)


def test_a_version_that_is_not_there(version: Path) -> None:
    (version.parent / "2").mkdir()
    (version.parent / ".staging-1").mkdir()
    (version.parent / "30").write_text("a file")
    with pytest.raises(E2EGRecError, match=r"7: no such version; \S+ holds 2, 12$"):
        require_whole(version.parent, 7)
    assert newest_version(version.parent) == 12
    with pytest.raises(E2EGRecError, match="holds no version"):
        newest_version(version)


def test_batching_parameters_travel_with_the_version(version: Path, tmp_path: Path) -> None:
    add_batching_parameters(version)
    assert (version / PER_MODEL_FILE).read_text() == DEFAULT_BATCHING.read_text()
    own = tmp_path / "own.txt"
    own.write_text("max_batch_size { value: 8 }\nallowed_batch_sizes: 8\n")
    add_batching_parameters(version, own)
    assert BatchingParameters.read(version / PER_MODEL_FILE).max_batch_size == 8
    own.write_text("max_batch_sizes: 8")
    with pytest.raises(E2EGRecError, match=r"own\.txt"):
        add_batching_parameters(version, own)
    assert BatchingParameters.read(version / PER_MODEL_FILE).max_batch_size == 8
