"""Several versions, labels and configurations, on the development server and on TensorFlow Serving alike."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client.ranking_client import RankingClient
from serving.running_server import RunningServer
from serving.server_command import start_server
from serving.server_configuration import (
    check_model_config,
    config_of_one_model,
    read_model_config,
    wanted_versions,
)
from tests.serving.servers import (
    MODEL,
    code,
    factor,
    model_config,
    refused_reload,
    reload,
    states,
    wait_for,
    write_config,
)
from tf_e2egrec.errors import E2EGRecError


@pytest.fixture
def served(kind: str, export: Any, base_path: Path, tmp_path: Path) -> Iterator[RunningServer]:
    """Versions 1 and 2 of three, the first of which is stable."""
    for version in (1, 2, 3):
        export(version, factor=float(version))
    path = write_config(tmp_path / "models.config", model_config(base_path, [1, 2], {"stable": 1}))
    with start_server(port=0, model_config_file=path, kind=kind) as server:
        yield server


@pytest.fixture
def client(served: RunningServer) -> Iterator[RankingClient]:
    with RankingClient(served.target, MODEL) as made:
        made.wait_until_available(20, 1)
        made.wait_until_available(20, 2)
        yield made


def test_specific_versions_are_served_side_by_side(client: RankingClient) -> None:
    assert states(client) == {1: "AVAILABLE", 2: "AVAILABLE"}
    assert [factor(client, version) for version in (1, 2, "stable", None)] == [1.0, 2.0, 1.0, 2.0]
    for version, expected in ((3, grpc.StatusCode.NOT_FOUND), ("nightly", grpc.StatusCode.INVALID_ARGUMENT)):
        with pytest.raises(E2EGRecError) as caught:
            factor(client, version)
        assert code(caught.value) == expected
        assert str(version) in str(caught.value)


def test_a_label_of_an_unknown_model(client: RankingClient) -> None:
    with RankingClient(client.target, "stranger") as stranger, pytest.raises(E2EGRecError) as caught:
        factor(stranger, "stable")
    assert code(caught.value) == grpc.StatusCode.INVALID_ARGUMENT


def test_load_first_label_next_then_promote(client: RankingClient, base_path: Path) -> None:
    """The order of a roll-out: every step is a configuration of its own."""
    reload(client.target, model_config(base_path, [1, 3], {"stable": 1}))
    client.wait_until_available(20, 3)
    reload(client.target, model_config(base_path, [1, 3], {"stable": 1, "canary": 3}))
    assert (factor(client, "stable"), factor(client, "canary")) == (1.0, 3.0)
    wait_for(lambda: states(client)[2] == "END")
    reload(client.target, model_config(base_path, [1, 3], {"stable": 3, "canary": 3}))
    assert factor(client, "stable") == 3.0
    reload(client.target, model_config(base_path, [1, 3], {"stable": 1}))  # back, at once
    assert factor(client, "stable") == 1.0
    with pytest.raises(E2EGRecError) as caught:
        factor(client, "canary")
    assert code(caught.value) == grpc.StatusCode.INVALID_ARGUMENT


def test_a_label_needs_a_loaded_version(client: RankingClient, base_path: Path) -> None:
    config = model_config(base_path, [1, 2, 7], {"stable": 7})
    refusal = refused_reload(client.target, config)
    assert refusal[0] == grpc.StatusCode.FAILED_PRECONDITION
    assert f"version 7 of model {MODEL}" in refusal[1]
    assert factor(client, "stable") == 1.0


def test_versions_follow_a_configuration_whose_label_is_refused(
    client: RankingClient, base_path: Path
) -> None:
    config = model_config(base_path, [1, 3], {"stable": 1, "canary": 9})
    assert refused_reload(client.target, config)[0] == grpc.StatusCode.FAILED_PRECONDITION
    client.wait_until_available(20, 3)
    wait_for(lambda: states(client)[2] == "END")
    assert factor(client, "stable") == 1.0


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda config: config.Clear(), ""),
        (lambda config: config.model_config_list.config.add().CopyFrom(config.model_config_list.config[0]), MODEL),
        (lambda config: setattr(config.model_config_list.config[0], "base_path", "models/tiny"), "absolute path"),
    ],
    ids=["nothing", "a model twice", "a relative path"],
)  # fmt: skip
def test_wrong_configurations_change_nothing(
    client: RankingClient, base_path: Path, spoil: Any, text: str
) -> None:
    config = model_config(base_path, [3])
    spoil(config)
    refusal = refused_reload(client.target, config)
    assert refusal[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert text in refusal[1]
    assert states(client) == {1: "AVAILABLE", 2: "AVAILABLE"}


def test_other_policies(client: RankingClient, base_path: Path) -> None:
    reload(client.target, model_config(base_path, latest={"num_versions": 2}))
    client.wait_until_available(20, 3)
    wait_for(lambda: states(client) == {1: "END", 2: "AVAILABLE", 3: "AVAILABLE"})
    reload(client.target, model_config(base_path, all={}))
    client.wait_until_available(20, 1)
    assert factor(client) == 3.0
    reload(client.target, model_config(base_path))
    wait_for(lambda: states(client) == {1: "END", 2: "END", 3: "AVAILABLE"})


def test_models_come_and_go(client: RankingClient, base_path: Path, tmp_path: Path) -> None:
    shutil.copytree(base_path / "1", tmp_path / "second" / "4")
    config = model_config(base_path, [1, 2], {"stable": 1})
    both = model_config(tmp_path / "second", [4], name="second")
    both.MergeFrom(config)
    reload(client.target, both)
    with RankingClient(client.target, "second") as second:
        assert states(second) == {4: "AVAILABLE"}  # a new model is loaded before the answer comes
        assert (factor(second), factor(client, "stable")) == (1.0, 1.0)
        reload(client.target, config)
        wait_for(lambda: states(second) == {4: "END"})
        with pytest.raises(E2EGRecError) as caught:
            factor(second)
        assert code(caught.value) == grpc.StatusCode.NOT_FOUND
    assert factor(client, "stable") == 1.0


def test_the_file_is_read_again(kind: str, export: Any, base_path: Path, tmp_path: Path, capsys: Any) -> None:
    export(1)
    export(2, factor=2.0)
    path = write_config(tmp_path / "models.config", model_config(base_path, [1], {"stable": 1}))
    with (
        start_server(port=0, model_config_file=path, model_config_poll_seconds=1, kind=kind) as server,
        RankingClient(server.target, MODEL) as client,
    ):
        # The label waits for its version: it is refused, and taken at a later reading.
        write_config(path, model_config(base_path, [1, 2], {"stable": 1, "canary": 2}))
        client.wait_until_available(20, 2)

        def has_canary() -> bool:
            try:
                return factor(client, "canary") == 2.0
            except E2EGRecError:
                return False

        wait_for(has_canary)
        path.write_text("model_config_list {")
        if kind == "development":
            wait_for(lambda: "models.config was not taken" in capsys.readouterr().err)
        assert factor(client, "stable") == 1.0


def test_a_config_file_is_checked(tmp_path: Path, base_path: Path) -> None:
    path = tmp_path / "models.config"
    with pytest.raises(E2EGRecError, match="cannot be read"):
        read_model_config(path)
    for text, sentence in (
        ("model_config_list { config { nam: 'a' } }", "no model configuration .*write it like"),
        ("model_config_list { config { base_path: '/a' } }", "has no name"),
        ("model_config_list { config { name: 'a' base_path: '/a' } }", "write 'tensorflow' there"),
        ("", "model_config_list is the only"),
        ("\xff", "no model configuration"),
    ):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(E2EGRecError, match=sentence):
            read_model_config(path)
    path.write_text(f"# mine\nmodel_config_list {{ config {{ name: 'a' base_path: '{base_path}' "
                    "model_platform: 'tensorflow' version_labels { key: 'stable' value: 1 } } }")  # fmt: skip
    assert dict(read_model_config(path).model_config_list.config[0].version_labels) == {"stable": 1}


def test_a_base_path_or_a_config(base_path: Path, tmp_path: Path) -> None:
    with pytest.raises(E2EGRecError, match="not both"):
        start_server(port=0, kind="development")
    path = write_config(tmp_path / "models.config", model_config(base_path, [1], {"stable": 1}))
    with pytest.raises(E2EGRecError, match="currently available"):  # no version 1 at all
        start_server(port=0, model_config_file=path, kind="development")


@given(st.sets(st.integers(0, 2**63 - 1), max_size=6), st.integers(0, 5), st.sets(st.integers(0, 9)))
def test_policies_by_hand(found: set[int], number: int, named: set[int]) -> None:
    def policy(**choice: Any) -> Any:
        return model_config(Path("/"), **choice).model_config_list.config[0].model_version_policy

    newest_first = sorted(found, reverse=True)
    assert wanted_versions(policy(latest={"num_versions": number}), found) == set(newest_first[: number or 1])
    assert wanted_versions(policy(all={}), found) == found
    assert wanted_versions(policy(versions=sorted(named)), found) == (
        {v for v in found if v in named} if named else set(newest_first[:1])
    )
    assert wanted_versions(policy(), found) == set(newest_first[:1])


def test_the_configuration_of_a_base_path(base_path: Path) -> None:
    config = config_of_one_model(MODEL, base_path)
    check_model_config(config)
    assert config.model_config_list.config[0].base_path == str(base_path)
    with pytest.raises(E2EGRecError, match="has no name"):
        check_model_config(config_of_one_model("", base_path))
