"""`ExplorerServer`: the pages of a run, on loopback."""

import sys
import threading
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.html_report.markup import tag
from tf_e2egrec.explorer.explored_run import ExploredRun
from tf_e2egrec.explorer.item_page import item_page
from tf_e2egrec.explorer.page_parts import document
from tf_e2egrec.explorer.start_page import start_page
from tf_e2egrec.explorer.user_page import user_page
from tf_e2egrec.explorer.user_rankings import UserRankings

_HOST = "127.0.0.1"
_MOST_USERS = 10
# Nothing may be loaded and nothing runs, whatever a text of the data holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


class ExplorerServer:
    """Serves the pages until it is stopped; a context manager.

    Args:
      explored: the run.
      rankings: of the model that is shown.
      port: on loopback; 0 for any free one.

    Attributes:
      url: of the first page.

    Raises:
      E2EGRecError: the port is taken.
    """

    def __init__(self, explored: ExploredRun, rankings: UserRankings, port: int = 0) -> None:
        self._explored, self._rankings = explored, rankings
        self._lock = threading.Lock()  # a model answers one page at a time
        try:
            self._server = ThreadingHTTPServer((_HOST, port), _handler(self.answer))
        except OSError as error:
            raise E2EGRecError(
                f"port {port} is taken ({error.strerror}); choose another --port, or 0"
            ) from None
        self.url = f"http://{_HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        """Start answering in the background."""
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, address: str) -> tuple[HTTPStatus, str]:
        """The page of an address such as `/item?id=7`.

        Args:
          address: path and query.

        Returns:
          Status and HTML.
        """
        split = urlsplit(address)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        with self._lock:
            if split.path == "/":
                return HTTPStatus.OK, start_page(self._explored, self._rankings.most_shown(_MOST_USERS))
            if split.path not in ("/item", "/user"):
                return _missing(f"there is no page {split.path}")
            kind = split.path.removeprefix("/")
            text = query.get("id", "")
            key = self._explored.key_of(kind, text)
            if key is None:
                return _missing(f"there is no {kind} `{text}` in {self._explored.run.subgraphs / 'nodes'}")
            if kind == "user":
                shown = self._rankings.of(key)
                return HTTPStatus.OK, user_page(self._explored, key, self._rankings.model, shown)
            snapshot = query.get("snapshot", str(self._explored.snapshots[-1]))
            if not snapshot.isdigit() or int(snapshot) not in self._explored.snapshots:
                return _missing(f"there is no snapshot `{snapshot}`")
            return HTTPStatus.OK, item_page(self._explored, key, int(snapshot))


def _missing(sentence: str) -> tuple[HTTPStatus, str]:
    return HTTPStatus.NOT_FOUND, document("not found", tag("p", sentence))


def _handler(answer: Callable[[str], tuple[HTTPStatus, str]]) -> type[BaseHTTPRequestHandler]:
    """A handler that asks `answer`, and says what failed where it does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0]
            if host not in (_HOST, "localhost"):  # a page from elsewhere that was given our address
                self.send_error(HTTPStatus.FORBIDDEN, "ask for 127.0.0.1")
                return
            try:
                status, page = answer(self.path)
            except E2EGRecError as error:  # a file that was damaged, or made again meanwhile
                print(f"error: {error}", file=sys.stderr)
                status, page = (
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    document("this cannot be shown", tag("p", str(error))),
                )
            except Exception as error:
                traceback.print_exc()
                status, page = HTTPStatus.INTERNAL_SERVER_ERROR, document("a bug", tag("p", str(error)))
            body = page.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the terminal is no access log."""

    return Handler
