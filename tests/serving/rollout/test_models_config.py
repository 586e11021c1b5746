from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.config import model_server_config_pb2

from serving.rollout.models_config import ModelEntry, ModelsConfig
from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError

HEAD = "# Which versions.\n#\n\n# And labels.\n"
MODEL = """config {{
    name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 2 versions: 1 }} }}
    version_labels {{ key: "stable" value: 1 }}  # inner comment
  }}"""


def text(*names: str) -> str:
    return HEAD + "model_config_list {\n  " + "\n  ".join(MODEL.format(name=name) for name in names) + "\n}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "models.config").write_text(text("ranker", "other"))
    return tmp_path / "models.config"


def parsed(path: Path) -> model_server_config_pb2.ModelServerConfig:
    return text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())


def test_a_model_is_read(path: Path) -> None:
    assert ModelsConfig(path).model("ranker") == ModelEntry("ranker", "/models/ranker", (1, 2), {"stable": 1})
    path.write_text(text("only"))
    assert ModelsConfig(path).model().name == "only"


def test_writing_changes_one_model_and_keeps_the_rest(path: Path) -> None:
    before = parsed(path)
    config = ModelsConfig(path)
    entry = ModelEntry("ranker", "/models/ranker", (2, 7), {"stable": 2, "canary": 7})
    config.write(entry)
    assert path.read_text().startswith(HEAD)
    after = parsed(path)
    assert ModelsConfig(path).model("ranker") == entry == config.model("ranker")
    assert after.model_config_list.config[1] == before.model_config_list.config[1]
    config.write(entry)
    assert path.read_text().count("Which versions") == 1
    assert [one.name for one in path.parent.iterdir()] == ["models.config"]


def test_a_configuration_is_made_without_touching_the_file(path: Path) -> None:
    before = path.read_text()
    made = ModelsConfig(path).with_model(ModelEntry("other", "/models/other", (9,), {}))
    assert [list(one.model_version_policy.specific.versions) for one in made.model_config_list.config] == [
        [2, 1],
        [9],
    ]
    assert dict(made.model_config_list.config[1].version_labels) == {}
    assert path.read_text() == before


@given(
    versions=st.sets(st.integers(0, 2**63 - 1), min_size=1, max_size=5),
    data=st.data(),
)
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, versions: set[int], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("config") / "models.config"
    path.write_text(text("ranker"))
    names = st.text("abcdefghij-_.0123456789", min_size=1, max_size=8)
    labels = data.draw(st.dictionaries(names, st.sampled_from(sorted(versions)), max_size=3))
    entry = ModelEntry("ranker", "/models/ranker", tuple(sorted(versions)), labels)
    ModelsConfig(path).write(entry)
    assert ModelsConfig(path).model() == entry


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (None, None, "models.config"),
        ("model_config_list { nonsense: 1 }", None, "like serving/model_server/models.config"),
        ("model_config_list { }", None, "lists no model"),
        (text("a", "b"), None, "several models; choose one with --name: a, b"),
        (text("a"), "c", "lists no model c; it lists a"),
        (text("a", "a"), "a", "multiple times"),
        (
            text("a").replace("specific { versions: 2 versions: 1 }", "latest { num_versions: 2 }"),
            None,
            "list them with",
        ),
        (text("a").replace("value: 1", "value: 5"), None, r"does not list \(stable: 5\)"),
    ],
)
def test_mistakes(tmp_path: Path, content: str | None, name: str | None, says: str) -> None:
    path = tmp_path / "models.config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(E2EGRecError, match=says) as caught:
        ModelsConfig(path).model(name)
    assert "\n" not in str(caught.value)


def test_a_file_appears_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    path.chmod(0o640)
    write_whole(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)

    def full(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "half")
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
