"""Start TensorFlow Serving where it is installed, else the development server."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.client import RankingClient
from serving.development_server import DEFAULT_PORT, DevelopmentServer
from serving.running_server import RunningServer
from serving.version_manager import find_versions
from tf_e2egrec.errors import E2EGRecError

BINARY = "tensorflow_model_server"
BINARY_VARIABLE = "TENSORFLOW_MODEL_SERVER"
"""Environment variable that names TensorFlow Serving's binary where it is not on PATH."""

KINDS = ("auto", "tensorflow_serving", "development")
GRPC_MAX_THREADS = 64
"""TensorFlow Serving's default, 4 per CPU, refuses calls (RESOURCE_EXHAUSTED) of 16 clients on 2 CPUs."""


def find_model_server() -> str | None:
    """Find TensorFlow Serving's binary.

    Returns:
      The path that the environment variable TENSORFLOW_MODEL_SERVER names, else `tensorflow_model_server` on
      PATH, else None.

    Raises:
      E2EGRecError: the variable is set and names nothing that can be run.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if not named:
        return shutil.which(BINARY)
    path = shutil.which(named)
    if path is None:
        raise E2EGRecError(
            f"{BINARY_VARIABLE}={named} is no program that can be run: correct the path or unset it"
        )
    return path


def model_server_argv(
    binary: str,
    model_base_path: str | Path,
    model_name: str,
    port: int = DEFAULT_PORT,
    rest_port: int | None = None,
    *,
    batching_parameters_file: str | Path | None = None,
    monitoring_config_file: str | Path | None = None,
    grpc_max_threads: int = GRPC_MAX_THREADS,
    extra_arguments: Sequence[str] = (),
) -> list[str]:
    """Build TensorFlow Serving's command line.

    Args:
      binary: path of `tensorflow_model_server`.
      model_base_path: directory with one integer-named directory per version; made absolute, as the server
        requires.
      model_name: the model's name in requests.
      port: gRPC port. The server listens on every interface of the machine.
      rest_port: HTTP port, None for no REST (and no metrics).
      batching_parameters_file: file with batching parameters; batching is on exactly where it is given.
      monitoring_config_file: file with a `prometheus_config`; metrics are read through `rest_port`.
      grpc_max_threads: requests handled at once.
      extra_arguments: further flags as they are.

    Returns:
      The command line, ready for `subprocess`.

    Raises:
      E2EGRecError: a named file does not exist, or monitoring is asked for without `rest_port`.
    """
    argv = [
        binary,
        f"--port={port}",
        f"--model_name={model_name}",
        f"--model_base_path={Path(model_base_path).resolve()}",
        f"--grpc_max_threads={grpc_max_threads}",
    ]
    if rest_port is not None:
        argv.append(f"--rest_api_port={rest_port}")
    if batching_parameters_file is not None:
        path = _existing(batching_parameters_file, "batching parameters")
        argv += ["--enable_batching=true", f"--batching_parameters_file={path}"]
    if monitoring_config_file is not None:
        if rest_port is None:
            raise E2EGRecError(
                "metrics are read over HTTP: give a rest_port along with the monitoring configuration"
            )
        argv.append(
            f"--monitoring_config_file={_existing(monitoring_config_file, 'monitoring configuration')}"
        )
    return argv + list(extra_arguments)


def start_server(
    model_base_path: str | Path,
    model_name: str,
    port: int = DEFAULT_PORT,
    rest_port: int | None = None,
    *,
    batching_parameters_file: str | Path | None = None,
    monitoring_config_file: str | Path | None = None,
    extra_arguments: Sequence[str] = (),
    labels: Mapping[str, int] | None = None,
    kind: str = "auto",
    deadline_seconds: float = 60.0,
) -> RunningServer:
    """Start a server and wait until it answers for the model.

    Args:
      model_base_path: directory with one integer-named directory per version.
      model_name: the model's name in requests.
      port: gRPC port, 0 for any free one.
      rest_port: HTTP port of TensorFlow Serving; the development server has no REST.
      batching_parameters_file: as `model_server_argv`; the development server does not batch.
      monitoring_config_file: as `model_server_argv`; the development server has no metrics.
      extra_arguments: further flags of TensorFlow Serving; the development server ignores them.
      labels: version number by label, development server only (TensorFlow Serving reads labels from a
        models.config).
      kind: "tensorflow_serving", "development", or "auto" for the former where it is installed and the latter
        elsewhere.
      deadline_seconds: how long the model may take to load, seconds.

    Returns:
      The running server.

    Raises:
      E2EGRecError: there is no version to serve, a port is taken, the binary is missing or dies, the newest
        version fails to load, or the deadline passes.
    """
    base_path = _base_with_versions(model_base_path)
    binary = _choose_binary(kind, labels)
    if binary is None:
        development = DevelopmentServer(base_path, model_name, port=port, labels=labels).start()
        running = RunningServer(development.target, development)
    else:
        port = _free_port(port)
        if rest_port is not None:
            rest_port = _free_port(rest_port)
        argv = model_server_argv(
            binary,
            base_path,
            model_name,
            port=port,
            rest_port=rest_port,
            batching_parameters_file=batching_parameters_file,
            monitoring_config_file=monitoring_config_file,
            extra_arguments=extra_arguments,
        )
        running = _spawn(argv, port)
    try:
        with RankingClient(running.target, model_name, timeout=2.0, retries=0) as client:
            client.wait_until_available(deadline_seconds, check=running.check_alive)
    except BaseException:
        running.stop()
        raise
    return running


def _choose_binary(kind: str, labels: Mapping[str, int] | None) -> str | None:
    """The binary of TensorFlow Serving, or None for the development server."""
    if kind not in KINDS:
        raise E2EGRecError(f"unknown kind of server {kind!r}: choose one of {', '.join(KINDS)}")
    binary = None if kind == "development" else find_model_server()
    if kind == "tensorflow_serving" and binary is None:
        raise E2EGRecError(f"{BINARY} is not on PATH: install it, or name it in {BINARY_VARIABLE}")
    if binary is not None and labels:
        raise E2EGRecError(
            "TensorFlow Serving takes labels from a models.config file: see serving/model_server/README.md"
        )
    return binary


def _existing(path: str | Path, what: str) -> Path:
    resolved = Path(path).resolve()
    if not resolved.is_file():
        raise E2EGRecError(f"{resolved}: no such file for the {what}")
    return resolved


def _base_with_versions(model_base_path: str | Path) -> Path:
    base_path = Path(model_base_path).resolve()
    if not base_path.is_dir():
        raise E2EGRecError(f"{base_path}: no such directory; export a model there first")
    if not find_versions(base_path):
        raise E2EGRecError(
            f"{base_path}: holds no version, a directory with an integer name such as {base_path / '1'}; "
            "give the directory above the versions, or export a model there first"
        )
    return base_path


def _free_port(port: int) -> int:
    """Check that a port can be listened on; 0 picks a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise E2EGRecError(
                f"port {port} is taken ({error.strerror}): stop its owner or choose another port"
            ) from error
        return int(probe.getsockname()[1])


def _spawn(argv: Sequence[str], port: int) -> RunningServer:
    """Run TensorFlow Serving with its output in a log file."""
    descriptor, log_name = tempfile.mkstemp(prefix="tensorflow_model_server_", suffix=".log")
    with os.fdopen(descriptor, "wb") as log:
        try:
            process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise E2EGRecError(f"{argv[0]} cannot be run: {error.strerror}") from error
    print(f"TensorFlow Serving: gRPC on 127.0.0.1:{port}, log in {log_name}", flush=True)
    return RunningServer(f"127.0.0.1:{port}", process, Path(log_name))
