"""A local stand-in for TensorFlow Serving, for development, tests and demos."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.model_servicer import ModelServicer
from serving.prediction_servicer import PredictionServicer
from serving.version_manager import VersionManager
from tf_e2egrec.errors import E2EGRecError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest request and response, bytes; gRPC's own limit for requests is 4 MiB."""

DEFAULT_PORT = 8500
"""TensorFlow Serving's usual gRPC port."""


class DevelopmentServer:
    """Serves an exported model with TensorFlow Serving's gRPC interface, from a background thread.

    It speaks PredictionService (Predict, GetModelMetadata) and ModelService (GetModelStatus) with TensorFlow
    Serving's status codes, polls the base directory for new versions, replays warm-up records and swaps
    versions without a failed request.

    It is no replacement in production. It has no REST, no batching and no metrics, it is much slower under
    load, and it accepts a graph with `jit_compile=True`, which TensorFlow Serving refuses by default. Unlike
    TensorFlow Serving it checks the shape of every input before the graph runs, and retries a version that
    failed as soon as its files change.

    Example:
      with DevelopmentServer("runs/demo/export/e2egrec", "ranker", port=0) as server:
          RankingClient(server.target, "ranker").rank(7, [1, 2, 3])
    """

    def __init__(
        self,
        model_base_path: str | Path,
        model_name: str,
        port: int = DEFAULT_PORT,
        host: str = "127.0.0.1",
        *,
        labels: Mapping[str, int] | None = None,
        poll_seconds: float = 1.0,
        max_workers: int | None = None,
    ) -> None:
        """Describe the server; `start` starts it.

        Args:
          model_base_path: directory with one integer-named directory per version,
            `<base>/<integer>/saved_model.pb`.
          model_name: the model's name in requests.
          port: TCP port, 0 for any free one (then see `port`).
          host: address to listen on; the default can be reached from this machine only.
          labels: version number by label, e.g. `{"stable": 1, "canary": 2}`; these versions stay loaded.
          poll_seconds: time between two looks at the directory, seconds.
          max_workers: requests handled at once; default 4 per CPU, at least 16.
        """
        self._base_path = Path(model_base_path).resolve()
        self._model_name = model_name
        self._host = host
        self.port = port
        self._poll_seconds = poll_seconds
        self._max_workers = max_workers or max(16, 4 * (os.cpu_count() or 1))
        self._labels = dict(labels or {})
        self._versions = VersionManager(self._base_path, model_name, labels)
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None
        self._server: Any = None

    @property
    def target(self) -> str:
        """Address for a gRPC channel, `host:port`."""
        return f"{self._host}:{self.port}"

    def start(self) -> "DevelopmentServer":
        """Load the newest version, open the port and go on polling in the background.

        Returns:
          The server itself. A model that could not be loaded (yet) is no error here: GetModelStatus tells,
          and polling goes on.

        Raises:
          E2EGRecError: the base directory is missing, a label names a version that could not be loaded, or
            the port is taken.
        """
        if self._server is not None:
            raise E2EGRecError(f"the development server at {self.target} is already running")
        if not self._base_path.is_dir():
            raise E2EGRecError(f"{self._base_path}: no such directory; export a model there first")
        server = self._bind()
        try:
            self._versions.poll()
            if self._labels:
                self._versions.set_labels(self._labels)
        except BaseException:
            server.stop(None).wait()
            self._versions.close()
            raise
        server.start()
        self._server = server
        self._stopping.clear()
        self._poller = threading.Thread(target=self._poll, name="development-server-poll", daemon=True)
        self._poller.start()
        print(
            f"Development server (not TensorFlow Serving): model {self._model_name} from {self._base_path}, "
            f"gRPC on {self.target}, no REST",
            flush=True,
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
        self._server.stop(grace_seconds).wait()
        self._server = None
        if self._poller is not None:
            self._poller.join()
            self._poller = None
        self._versions.close()

    def wait(self) -> None:
        """Block until the server is stopped from another thread."""
        self._stopping.wait()

    def set_labels(self, labels: Mapping[str, int]) -> None:
        """Replace the version labels.

        Args:
          labels: version number by label.

        Raises:
          E2EGRecError: a label names a version that is not loaded.
        """
        self._versions.set_labels(labels)

    def __enter__(self) -> "DevelopmentServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bind(self) -> Any:
        """Make the gRPC server and take the port."""
        server = grpc.server(
            ThreadPoolExecutor(max_workers=self._max_workers, thread_name_prefix="development-server"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # otherwise a second server shares the port in silence
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionServicer(self._versions), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(self._versions), server)
        try:
            bound = server.add_insecure_port(self.target)
        except RuntimeError as error:
            raise E2EGRecError(
                f"cannot listen on {self.target}, the port may be taken: choose another one"
            ) from error
        self.port = bound
        return server

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self._versions.poll()


def serve(
    model_base_path: str | Path,
    model_name: str,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    labels: Mapping[str, int] | None = None,
) -> None:
    """Run a development server until Ctrl-C (or SIGTERM, where called from the main thread).

    Args:
      model_base_path: directory with one integer-named directory per version.
      model_name: the model's name in requests.
      port: TCP port, 0 for any free one.
      host: address to listen on; the default can be reached from this machine only.
      labels: version number by label.

    Raises:
      E2EGRecError: as `DevelopmentServer.start`.
    """
    with DevelopmentServer(model_base_path, model_name, port=port, host=host, labels=labels) as server:
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
