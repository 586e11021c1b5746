"""A local stand-in for TensorFlow Serving, for development, tests and demos."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.batching_parameters import BatchingParameters
from serving.development_server.health import health_handler
from serving.development_server.loaded_version import LoadedVersion
from serving.development_server.model_servicer import ModelServicer
from serving.development_server.prediction_servicer import PredictionServicer
from serving.development_server.request_decoder import RequestDecoder
from serving.development_server.request_error import RequestError
from serving.development_server.rest_server import RestServer
from serving.development_server.served_models import ServedModels
from serving.server_configuration import config_of_one_model, read_model_config
from tf_e2egrec.errors import E2EGRecError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest request and response, bytes; gRPC's own limit for requests is 4 MiB."""

DEFAULT_PORT = 8500
"""TensorFlow Serving's usual gRPC port."""


class DevelopmentServer:
    """Serves exported models with TensorFlow Serving's gRPC and REST interfaces, from background threads.

    It speaks PredictionService (Predict, GetModelMetadata), ModelService (GetModelStatus, HandleReloadConfigRequest),
    the health service and the REST paths with TensorFlow Serving's status codes, polls the base directories for new
    versions, replays warm-up records, swaps versions without a failed request, and joins requests into batches where
    asked to.

    It is no replacement in production. It has no metrics, it is much slower under load, and it accepts a graph with
    `jit_compile=True`, which TensorFlow Serving refuses by default. Unlike TensorFlow Serving it checks the shape of
    every input before the graph runs (not under batching), retries a version that failed as soon as its files change,
    and takes labels at the start for every version that it could load.

    Example:
      with DevelopmentServer("runs/demo/export/e2egrec", "ranker", port=0) as server:
          RankingClient(server.target, "ranker").rank(7, [1, 2, 3])
    """

    def __init__(
        self,
        model_base_path: str | Path | None = None,
        model_name: str = "",
        port: int = DEFAULT_PORT,
        host: str = "127.0.0.1",
        *,
        model_config_file: str | Path | None = None,
        model_config_poll_seconds: float = 0.0,
        rest_port: int | None = None,
        batching: BatchingParameters | None = None,
        batching_per_model: bool = False,
        poll_seconds: float = 1.0,
        max_workers: int | None = None,
    ) -> None:
        """Describe the server; `start` starts it.

        Args:
          model_base_path: directory with one integer-named directory per version,
            `<base>/<integer>/saved_model.pb`; None with a `model_config_file`.
          model_name: the model's name in requests.
          port: TCP port, 0 for any free one (then see `port`).
          host: address to listen on; the default can be reached from this machine only.
          model_config_file: file with a model_config_list: several models, specific versions, labels.
          model_config_poll_seconds: time between two readings of that file, seconds; 0: read at the start alone.
          rest_port: TCP port of the REST interface, 0 for any free one (then see `rest_port`), None for no REST.
          batching: how requests are joined into batches; None: not at all.
          batching_per_model: every version has its own parameters, in `<version>/batching_params.pbtxt`, or none; of
            `batching`, only the threads count then.
          poll_seconds: time between two looks at the directories, seconds.
          max_workers: requests handled at once; default 4 per CPU, at least 16.

        Raises:
          E2EGRecError: neither or both of the base path and the configuration are given.
        """
        if (model_base_path is None) == (model_config_file is None):
            raise E2EGRecError("a server needs a base path or a model configuration, and not both: give one")
        self._base_path = None if model_base_path is None else Path(model_base_path).resolve()
        self._model_name = model_name
        self._config_file = None if model_config_file is None else Path(model_config_file)
        self._config_poll_seconds = model_config_poll_seconds
        self._host = host
        self.port = port
        self.rest_port = rest_port
        self._poll_seconds = poll_seconds
        self._max_workers = max_workers or max(16, 4 * (os.cpu_count() or 1))
        load = functools.partial(LoadedVersion, batching=batching, batching_per_model=batching_per_model)
        self._models = ServedModels(load)
        self._rest: RestServer | None = None
        self._stopping = threading.Event()
        self._poll_now = threading.Event()
        self._poller: threading.Thread | None = None
        self._server: Any = None

    @property
    def target(self) -> str:
        """Address for a gRPC channel, `host:port`."""
        return f"{self._host}:{self.port}"

    @property
    def rest_target(self) -> str | None:
        """Address of the REST interface, `host:port`; None without REST."""
        return None if self.rest_port is None else f"{self._host}:{self.rest_port}"

    def start(self) -> "DevelopmentServer":
        """Load the models, open the ports and go on polling in the background.

        Returns:
          The server itself. A model that could not be loaded (yet) is no error here: GetModelStatus tells,
          and polling goes on.

        Raises:
          E2EGRecError: the base directory is missing, the configuration cannot be read, a label names a version that
            could not be loaded, or the port is taken.
        """
        if self._server is not None:
            raise E2EGRecError(f"the development server at {self.target} is already running")
        config = self._config()
        server = self._bind()
        try:
            if self.rest_port is not None:
                self._rest = RestServer(self._models, self._host, self.rest_port, MAX_MESSAGE_BYTES)
                self.rest_port = self._rest.port
            self._models.reload(config, starting=True)
        except BaseException as error:
            server.stop(None).wait()
            self._stop_rest()
            self._models.close()
            if isinstance(error, RequestError):
                raise E2EGRecError(f"{self._config_file or self._base_path}: {error.message}") from error
            raise
        server.start()
        if self._rest is not None:
            self._rest.start()
        self._server = server
        self._stopping.clear()
        self._poll_now.clear()
        self._poller = threading.Thread(target=self._poll, name="development-server-poll", daemon=True)
        self._poller.start()
        what = self._config_file or f"model {self._model_name} from {self._base_path}"
        rest = "no REST" if self.rest_target is None else f"REST on {self.rest_target}"
        print(
            f"Development server (not TensorFlow Serving): {what}, gRPC on {self.target}, {rest}", flush=True
        )
        return self

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Refuse new requests, let running ones finish and unload the model; harmless where it is not
        running.

        Args:
          grace_seconds: how long running requests may take before they are cancelled, seconds.
        """
        if self._server is None:
            return
        self._stopping.set()
        self._poll_now.set()
        self._stop_rest()
        self._server.stop(grace_seconds).wait()
        self._server = None
        if self._poller is not None:
            self._poller.join()
            self._poller = None
        self._models.close()

    def wait(self) -> None:
        """Block until the server is stopped from another thread."""
        self._stopping.wait()

    def __enter__(self) -> "DevelopmentServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _stop_rest(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None

    def _bind(self) -> Any:
        """Make the gRPC server and take the port."""
        server = grpc.server(
            ThreadPoolExecutor(max_workers=self._max_workers, thread_name_prefix="development-server"),
            interceptors=(RequestDecoder(),),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # otherwise a second server shares the port in silence
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionServicer(self._models), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelServicer(self._models, self._poll_now.set), server
        )
        server.add_generic_rpc_handlers((health_handler(),))
        try:
            bound = server.add_insecure_port(self.target)
        except RuntimeError as error:
            raise E2EGRecError(
                f"cannot listen on {self.target}, the port may be taken: choose another one"
            ) from error
        self.port = bound
        return server

    def _config(self) -> Any:
        """The configuration to serve, read anew."""
        if self._config_file is not None:
            return read_model_config(self._config_file)
        assert self._base_path is not None
        if not self._base_path.is_dir():
            raise E2EGRecError(f"{self._base_path}: no such directory; export a model there first")
        return config_of_one_model(self._model_name, self._base_path)

    def _poll(self) -> None:
        """Look at the directories, and at the configuration where that is wanted, until the server stops."""
        reads_config = self._config_file is not None and self._config_poll_seconds > 0
        read_at, complaint = time.monotonic(), ""
        while True:
            self._poll_now.wait(self._poll_seconds)
            self._poll_now.clear()
            if self._stopping.is_set():
                return
            if reads_config and time.monotonic() >= read_at + self._config_poll_seconds:
                read_at, complaint = time.monotonic(), self._read_config(complaint)
            self._models.poll()

    def _read_config(self, complaint: str) -> str:
        """Take the configuration file as it is now; says what is wrong with it, once."""
        try:
            self._models.reload(self._config())
        except (E2EGRecError, RequestError) as error:
            if str(error) != complaint:
                print(
                    f"development server: {self._config_file} was not taken: {error}",
                    file=sys.stderr,
                    flush=True,
                )
            return str(error)
        return ""


def serve(
    model_base_path: str | Path,
    model_name: str,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
) -> None:
    """Run a development server until Ctrl-C (or SIGTERM, where called from the main thread).

    Args:
      model_base_path: directory with one integer-named directory per version.
      model_name: the model's name in requests.
      port: TCP port, 0 for any free one.
      host: address to listen on; the default can be reached from this machine only.

    Raises:
      E2EGRecError: as `DevelopmentServer.start`.
    """
    with DevelopmentServer(model_base_path, model_name, port=port, host=host) as server:
        wait_for_interrupt(server.wait)


def wait_for_interrupt(wait: Callable[[], object]) -> None:
    """Call `wait`, and return quietly on Ctrl-C or SIGTERM.

    Args:
      wait: function without arguments that blocks.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, interrupt) if in_main_thread else None
    try:
        wait()
    except KeyboardInterrupt:
        pass
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)
