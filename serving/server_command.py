"""Start TensorFlow Serving where it is installed, else the development server."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from serving.batching_parameters import BatchingParameters
from serving.client.ranking_client import RankingClient
from serving.development_server.development_server import DEFAULT_PORT, DevelopmentServer
from serving.development_server.version_manager import find_versions
from serving.running_server import RunningServer
from serving.server_configuration import read_model_config
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
    model_base_path: str | Path | None = None,
    model_name: str = "",
    port: int = DEFAULT_PORT,
    rest_port: int | None = None,
    *,
    model_config_file: str | Path | None = None,
    model_config_poll_seconds: int = 0,
    batching_parameters_file: str | Path | None = None,
    batching_per_model: bool = False,
    monitoring_config_file: str | Path | None = None,
    grpc_max_threads: int = GRPC_MAX_THREADS,
    extra_arguments: Sequence[str] = (),
) -> list[str]:
    """Build TensorFlow Serving's command line.

    Args:
      binary: path of `tensorflow_model_server`.
      model_base_path: directory with one integer-named directory per version; made absolute, as the server
        requires; None with a `model_config_file`.
      model_name: the model's name in requests.
      port: gRPC port. The server listens on every interface of the machine.
      rest_port: HTTP port, None for no REST (and no metrics).
      model_config_file: file with a model_config_list: several models, specific versions, labels.
      model_config_poll_seconds: time between two readings of that file, seconds; 0: read at the start alone.
      batching_parameters_file: file with batching parameters; batching is on where it is given.
      batching_per_model: batching by the parameters that each version brings along, `batching_params.pbtxt`; of the
        file above, only the threads count then.
      monitoring_config_file: file with a `prometheus_config`; metrics are read through `rest_port`.
      grpc_max_threads: requests handled at once.
      extra_arguments: further flags as they are.

    Returns:
      The command line, ready for `subprocess`.

    Raises:
      E2EGRecError: a named file does not exist, monitoring is asked for without `rest_port`, or neither or both of
        the base path and the configuration are given.
    """
    if (model_base_path is None) == (model_config_file is None):
        raise E2EGRecError("a server needs a base path or a model configuration, and not both: give one")
    argv = [binary, f"--port={port}"]
    if model_base_path is not None:
        argv += [f"--model_name={model_name}", f"--model_base_path={Path(model_base_path).resolve()}"]
    if model_config_file is not None:
        argv += [
            f"--model_config_file={_existing(model_config_file, 'model configuration')}",
            f"--model_config_file_poll_wait_seconds={model_config_poll_seconds}",
            "--allow_version_labels_for_unavailable_models=true",  # else no label can be set at the start
        ]
    argv.append(f"--grpc_max_threads={grpc_max_threads}")
    if rest_port is not None:
        argv.append(f"--rest_api_port={rest_port}")
    if batching_parameters_file is not None:
        path = _existing(batching_parameters_file, "batching parameters")
        argv += ["--enable_batching=true", f"--batching_parameters_file={path}"]
    if batching_per_model:
        argv += ["--enable_batching=true", "--enable_per_model_batching_parameters=true"]
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
    model_base_path: str | Path | None = None,
    model_name: str = "",
    port: int = DEFAULT_PORT,
    rest_port: int | None = None,
    *,
    model_config_file: str | Path | None = None,
    model_config_poll_seconds: int = 0,
    batching_parameters_file: str | Path | None = None,
    batching_per_model: bool = False,
    monitoring_config_file: str | Path | None = None,
    extra_arguments: Sequence[str] = (),
    kind: str = "auto",
    deadline_seconds: float = 60.0,
) -> RunningServer:
    """Start a server and wait until it answers for its models.

    Args:
      model_base_path: directory with one integer-named directory per version; None with a `model_config_file`.
      model_name: the model's name in requests.
      port: gRPC port, 0 for any free one.
      rest_port: HTTP port, 0 for any free one, None for no REST.
      model_config_file: file with a model_config_list: several models, specific versions, labels.
      model_config_poll_seconds: time between two readings of that file, seconds; 0: read at the start alone.
      batching_parameters_file: as `model_server_argv`.
      batching_per_model: as `model_server_argv`.
      monitoring_config_file: as `model_server_argv`; the development server has no metrics.
      extra_arguments: further flags of TensorFlow Serving; the development server ignores them.
      kind: "tensorflow_serving", "development", or "auto" for the former where it is installed and the latter
        elsewhere.
      deadline_seconds: how long a model may take to load, seconds.

    Returns:
      The running server.

    Raises:
      E2EGRecError: there is no version to serve, a port is taken, the binary is missing or dies, the newest
        version fails to load, or the deadline passes.
    """
    names = [model_name]
    if model_config_file is not None:
        models = read_model_config(model_config_file).model_config_list.config
        names = [model.name for model in models]
    if model_base_path is not None:
        model_base_path = _base_with_versions(model_base_path)
    binary = _choose_binary(kind)
    if binary is None:
        batching = (
            None if batching_parameters_file is None else BatchingParameters.read(batching_parameters_file)
        )
        development = DevelopmentServer(
            model_base_path,
            model_name,
            port=port,
            model_config_file=model_config_file,
            model_config_poll_seconds=model_config_poll_seconds,
            rest_port=rest_port,
            batching=batching,
            batching_per_model=batching_per_model,
        ).start()
        running = RunningServer(development.target, development, rest_target=development.rest_target)
    else:
        port = _free_port(port)
        if rest_port is not None:
            rest_port = _free_port(rest_port)
        argv = model_server_argv(
            binary,
            model_base_path,
            model_name,
            port=port,
            rest_port=rest_port,
            model_config_file=model_config_file,
            model_config_poll_seconds=model_config_poll_seconds,
            batching_parameters_file=batching_parameters_file,
            batching_per_model=batching_per_model,
            monitoring_config_file=monitoring_config_file,
            extra_arguments=extra_arguments,
        )
        running = _spawn(argv, port, rest_port)
    try:
        for name in names:
            with RankingClient(running.target, name, timeout=2.0, retries=0) as client:
                client.wait_until_available(deadline_seconds, check=running.check_alive)
    except BaseException:
        running.stop()
        raise
    return running


def _choose_binary(kind: str) -> str | None:
    """The binary of TensorFlow Serving, or None for the development server."""
    if kind not in KINDS:
        raise E2EGRecError(f"unknown kind of server {kind!r}: choose one of {', '.join(KINDS)}")
    binary = None if kind == "development" else find_model_server()
    if kind == "tensorflow_serving" and binary is None:
        raise E2EGRecError(f"{BINARY} is not on PATH: install it, or name it in {BINARY_VARIABLE}")
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


def _spawn(argv: Sequence[str], port: int, rest_port: int | None) -> RunningServer:
    """Run TensorFlow Serving with its output in a log file."""
    descriptor, log_name = tempfile.mkstemp(prefix="tensorflow_model_server_", suffix=".log")
    with os.fdopen(descriptor, "wb") as log:
        try:
            process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise E2EGRecError(f"{argv[0]} cannot be run: {error.strerror}") from error
    print(f"TensorFlow Serving: gRPC on 127.0.0.1:{port}, log in {log_name}", flush=True)
    rest_target = None if rest_port is None else f"127.0.0.1:{rest_port}"
    return RunningServer(f"127.0.0.1:{port}", process, Path(log_name), rest_target)
