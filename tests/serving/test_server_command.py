import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client.ranking_client import RankingClient
from serving.server_command import BINARY_VARIABLE, find_model_server, model_server_argv, start_server
from tests.serving.conftest import BATCHING
from tests.serving.servers import MODEL, factor, model_config, write_config
from tf_e2egrec.errors import E2EGRecError

MODEL_SERVER = Path(__file__).parents[2] / "serving" / "model_server"
FAKE = """#!{python}
import sys
flags = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])
assert flags["grpc_max_threads"] == "64" and flags["model_base_path"].startswith("/")
sys.path.insert(0, {root!r})
from serving.development_server.development_server import serve
serve(flags["model_base_path"], flags["model_name"], int(flags["port"]))
"""


@pytest.fixture
def no_binary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def write_program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_server_argv("tms", "models", MODEL, 8500,
    extra_arguments=["--flush_filesystem_caches=false"]) == [
        "tms", "--port=8500", f"--model_name={MODEL}", f"--model_base_path={tmp_path}/models",
        "--grpc_max_threads=64", "--flush_filesystem_caches=false",
    ]  # fmt: skip
    batching, monitoring = MODEL_SERVER / "batching_parameters.txt", MODEL_SERVER / "monitoring.config"
    argv = model_server_argv(
        "tms",
        "models",
        MODEL,
        rest_port=8501,
        batching_parameters_file=batching,
        monitoring_config_file=monitoring,
    )
    assert argv[-4:] == [
        "--rest_api_port=8501", "--enable_batching=true", f"--batching_parameters_file={batching}",
        f"--monitoring_config_file={monitoring}",
    ]  # fmt: skip
    config = MODEL_SERVER / "models.config"
    argv = model_server_argv(
        "tms", model_config_file=config, model_config_poll_seconds=10, batching_per_model=True
    )
    assert argv[2:] == [
        f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=10",
        "--allow_version_labels_for_unavailable_models=true", "--grpc_max_threads=64",
        "--enable_batching=true", "--enable_per_model_batching_parameters=true",
    ]  # fmt: skip


def test_command_line_mistakes() -> None:
    with pytest.raises(E2EGRecError, match="rest_port"):
        model_server_argv("tms", "m", MODEL, monitoring_config_file=MODEL_SERVER / "monitoring.config")
    with pytest.raises(E2EGRecError, match="no such file for the batching parameters"):
        model_server_argv("tms", "m", MODEL, batching_parameters_file="nowhere.txt")
    for both in ({}, {"model_base_path": "m", "model_config_file": MODEL_SERVER / "models.config"}):
        with pytest.raises(E2EGRecError, match="a base path or a model configuration"):
            model_server_argv("tms", **both)


def test_the_variable_comes_before_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_binary: None
) -> None:
    assert find_model_server() is None
    on_path = write_program(tmp_path / "tensorflow_model_server", "#!/bin/sh\n")
    assert find_model_server() == str(on_path)
    named = write_program(tmp_path / "mine", "#!/bin/sh\n")
    monkeypatch.setenv(BINARY_VARIABLE, str(named))
    assert find_model_server() == str(named)
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(E2EGRecError, match="no program that can be run"):
        find_model_server()


def test_without_a_binary_the_development_server_runs(base_path: Path, export: Any, no_binary: None) -> None:
    export(1)
    with start_server(base_path, MODEL, port=0) as running:
        assert running.kind == "development"
        with RankingClient(running.target, MODEL) as client:
            assert client.rank(1, [3, 4]).item_ids.tolist() == [4, 3]
    with pytest.raises(E2EGRecError, match="not on PATH"):
        start_server(base_path, MODEL, kind="tensorflow_serving")
    with pytest.raises(E2EGRecError, match="unknown kind"):
        start_server(base_path, MODEL, kind="magic")


def test_nothing_to_serve(base_path: Path) -> None:
    with pytest.raises(E2EGRecError, match="no such directory"):
        start_server(base_path / "absent", MODEL)
    (base_path / "draft").mkdir()
    with pytest.raises(E2EGRecError, match="holds no version"):
        start_server(base_path, MODEL)


def test_a_model_that_cannot_load_is_said_at_once(base_path: Path, no_binary: None) -> None:
    (base_path / "1").mkdir()
    with pytest.raises(
        E2EGRecError, match=r"version 1 of model tiny failed to load.*Could not find SavedModel"
    ):
        start_server(base_path, MODEL, port=0)


def test_the_binary_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_path: Path, export: Any
) -> None:
    export(1)
    text = FAKE.format(python=sys.executable, root=str(MODEL_SERVER.parents[1]))
    monkeypatch.setenv(BINARY_VARIABLE, str(write_program(tmp_path / "fake", text)))
    with start_server(base_path, MODEL, port=0) as running:
        assert running.kind == "tensorflow_serving"
        with RankingClient(running.target, MODEL) as client:
            assert client.rank(1, [3, 4]).item_ids.tolist() == [4, 3]
        running.check_alive()
    with RankingClient(running.target, MODEL, timeout=0.5) as client, pytest.raises(E2EGRecError):
        client.model_status()


def test_a_dying_binary_is_said_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_path: Path, export: Any
) -> None:
    export(1)
    dying = write_program(tmp_path / "dying", "#!/bin/sh\necho unknown flag --port\nexit 3\n")
    monkeypatch.setenv(BINARY_VARIABLE, str(dying))
    with pytest.raises(E2EGRecError, match=r"exited with code 3.*unknown flag --port"):
        start_server(base_path, MODEL, port=0)


@pytest.mark.parametrize("real", [False, True])
def test_a_taken_port_is_said(
    monkeypatch: pytest.MonkeyPatch, base_path: Path, export: Any, real: bool, no_binary: None
) -> None:
    export(1)
    if real:
        monkeypatch.setenv(BINARY_VARIABLE, str(write_program(base_path.parent / "fake", "#!/bin/sh\n")))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(E2EGRecError, match="taken"):
            start_server(base_path, MODEL, port=taken.getsockname()[1])


def test_serve_with_a_config_rest_and_batching(base_path: Path, export: Any, tmp_path: Path) -> None:
    """The command, as a process of its own."""
    export(1)
    export(2, factor=2.0)
    config = write_config(tmp_path / "models.config", model_config(base_path, [1, 2], {"stable": 1}))
    options = [
        "--config",
        str(config),
        "--rest-port",
        "0",
        "--batching",
        str(BATCHING),
        "--kind",
        "development",
    ]
    argv = [sys.executable, "-m", "tf_e2egrec.cli.main", "serve", *options, "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r" answers at (\S+) \(REST: (\S+)\);", line) for line in process.stdout)
            target, rest = next(match for match in found if match).groups()
            with RankingClient(target, MODEL) as client:
                assert (factor(client, "stable"), factor(client)) == (1.0, 2.0)
                with pytest.raises(E2EGRecError, match="larger than maximum input batch size"):
                    client.predict({"x": np.ones(1000, np.float32)}, "serving_default")
            with urllib.request.urlopen(
                f"http://{rest}/v1/models/{MODEL}/labels/stable", timeout=30
            ) as response:
                assert b'"AVAILABLE"' in response.read()
        finally:
            process.terminate()
            assert process.wait(120) == 0
