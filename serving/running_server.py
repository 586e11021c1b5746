"""A server that answers, whichever of the two it is."""

import subprocess
import threading
from pathlib import Path
from types import TracebackType

from serving.development_server.development_server import DevelopmentServer
from tf_e2egrec.errors import E2EGRecError

_LOG_LINES = 5
_STOP_SECONDS = 10.0


class RunningServer:
    """Handle on a started server; a context manager that stops it.

    Attributes:
      kind: "tensorflow_serving" or "development".
      target: address for a gRPC channel, `host:port`.
      rest_target: address of the REST interface, `host:port`; None without REST.
      log_path: where TensorFlow Serving writes its log, None for the development server.
    """

    def __init__(
        self,
        target: str,
        server: DevelopmentServer | subprocess.Popen[bytes],
        log_path: Path | None = None,
        rest_target: str | None = None,
    ) -> None:
        """Wrap a server.

        Args:
          target: address for a gRPC channel, `host:port`.
          server: a started development server, or the process of TensorFlow Serving.
          log_path: file that holds the process's output.
          rest_target: address of the REST interface, None without REST.
        """
        self.kind = "development" if isinstance(server, DevelopmentServer) else "tensorflow_serving"
        self.target = target
        self.rest_target = rest_target
        self.log_path = log_path
        self._server = server
        self._stopped = threading.Event()

    def check_alive(self) -> None:
        """Raise where the server is gone.

        Raises:
          E2EGRecError: TensorFlow Serving has exited; the sentence ends with the last lines of its log.
        """
        if (
            isinstance(self._server, DevelopmentServer)
            or self._server.poll() is None
            or self._stopped.is_set()
        ):
            return
        raise E2EGRecError(
            f"tensorflow_model_server exited with code {self._server.returncode}; the last lines of its log: "
            f"{self._last_lines()}"
        )

    def stop(self) -> None:
        """Stop the server and wait until it is gone; harmless where it already is."""
        self._stopped.set()
        if isinstance(self._server, DevelopmentServer):
            self._server.stop()
            return
        if self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()

    def wait(self) -> None:
        """Block until the server ends.

        Raises:
          E2EGRecError: TensorFlow Serving exited without having been stopped.
        """
        if isinstance(self._server, DevelopmentServer):
            self._server.wait()
        else:
            self._server.wait()
            self.check_alive()

    def __enter__(self) -> "RunningServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _last_lines(self) -> str:
        if self.log_path is None:
            return "(not kept)"
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-_LOG_LINES:]) or "(empty)"
