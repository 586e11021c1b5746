"""`RestServer`: the REST paths of the development server."""

import json
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.development_server.model_servicer import model_status
from serving.development_server.prediction_servicer import model_metadata
from serving.development_server.request_error import RequestError
from serving.development_server.rest_json import dump_predict, parse_predict
from serving.development_server.served_models import ServedModels
from tf_e2egrec.errors import E2EGRecError

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<verb>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE)
_IDLE_SECONDS = 60.0
_STOP_SECONDS = 0.05  # how soon a call of `stop` is noticed
_NO_ERROR = {"error_code": "OK", "error_message": ""}

# As TensorFlow Serving answers; everything else is 500.
_HTTP: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class RestServer:
    """Answers `GET /v1/models/NAME[/versions/N|/labels/L][/metadata]` and `POST ...:predict` from background threads.

    Classify and regress answer 501. There are no metrics.
    """

    def __init__(self, models: ServedModels, host: str, port: int, max_body_bytes: int) -> None:
        """Take the port.

        Args:
          models: what is served.
          host: address to listen on.
          port: TCP port, 0 for any free one (then see `port`).
          max_body_bytes: largest request, bytes; a larger one is answered 413.

        Raises:
          E2EGRecError: the port is taken.
        """
        handler = type("_BoundHandler", (_Handler,), {"models": models, "max_body_bytes": max_body_bytes})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise E2EGRecError(
                f"cannot listen on {host}:{port}, the port may be taken: choose another one for REST"
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_STOP_SECONDS,),
            name="development-server-rest",
            daemon=True,
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    models: ServedModels
    max_body_bytes: int
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet, as TensorFlow Serving does."""

    def _answer(self, method: str) -> None:
        body = self._body()
        if body is None:
            return
        try:
            status, content = HTTPStatus.OK.value, self._content(method, self.path.partition("?")[0], body)
        except Exception as error:
            failure = RequestError.from_exception(error)
            status = _HTTP.get(failure.code, HTTPStatus.INTERNAL_SERVER_ERROR.value)
            content = json.dumps({"error": failure.message}).encode()
        self._send(status, content)

    def _body(self) -> bytes | None:
        """What was sent; None where it was refused."""
        text = self.headers.get("Content-Length", "0")
        is_sized = text.isascii() and text.isdigit() and "Transfer-Encoding" not in self.headers
        if is_sized and int(text) <= self.max_body_bytes:
            return self.rfile.read(int(text))
        self.close_connection = True  # the rest of the request is not read
        message = f"a request is at most {self.max_body_bytes} bytes" if is_sized else "send a Content-Length"
        self._send(413 if is_sized else 411, json.dumps({"error": message}).encode())
        return None

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _content(self, method: str, path: str, body: bytes) -> bytes:
        """The answer to a request.

        Raises:
          RequestError: the answer is an error.
        """
        found = (_PREDICT if method == "POST" else _STATUS).fullmatch(path)
        if found is None:
            known = path.startswith("/v1/")
            raise RequestError(
                grpc.StatusCode.INVALID_ARGUMENT if known else grpc.StatusCode.NOT_FOUND,
                f"Malformed request: {method} {path}",
            )
        if not found["name"]:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing model name in request.")
        if method == "POST":
            return self._predict(found, body)
        return self._metadata(found) if found["metadata"] else self._status(found)

    def _predict(self, found: re.Match[str], body: bytes) -> bytes:
        if found["verb"].lower() != "predict":
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED, f"the development server has no {found['verb']}: use predict"
            )
        request = predict_pb2.PredictRequest()
        _fill_spec(request.model_spec, found)
        with self.models.lease(request.model_spec) as version:

            def signature_named(name: str) -> Any:
                if name not in version.signatures:
                    message = f'Serving signature name: "{name}" not found in signature def'
                    raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
                return version.signatures[name]

            request.model_spec.signature_name, inputs, by_rows = parse_predict(body, signature_named)
            for alias, proto in inputs.items():
                request.inputs[alias].CopyFrom(proto)
            response = version.predict(request)
        return dump_predict(
            {alias: tf.make_ndarray(response.outputs[alias]) for alias in response.outputs}, by_rows
        )

    def _metadata(self, found: re.Match[str]) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill_spec(request.model_spec, found)
        response = model_metadata(self.models, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        spec = {
            "name": found["name"],
            "signature_name": "",
            "version": str(response.model_spec.version.value),
        }
        return json.dumps({"model_spec": spec, "metadata": {"signature_def": _as_dict(signatures)}}).encode()

    def _status(self, found: re.Match[str]) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(request.model_spec, found)
        content = _as_dict(model_status(self.models, request))
        for status in content["model_version_status"]:
            status.setdefault("status", _NO_ERROR)
        return json.dumps(content).encode()


def _fill_spec(spec: Any, found: re.Match[str]) -> None:
    """Say which model and version a path means."""
    spec.name = found["name"]
    if found["label"] is not None:
        spec.version_label = found["label"]
    elif found["version"] is not None:
        if int(found["version"]) >= 2**63:
            message = f"Failed to convert version: {found['version'][:40]} to numeric."
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
        spec.version.value = int(found["version"])


def _as_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
