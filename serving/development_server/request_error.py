"""The error a request ends with, before it becomes a gRPC status."""

import grpc
import tensorflow as tf

MAX_DETAIL_BYTES = 2000
"""gRPC sends the message as a header, three bytes for one, and clients refuse headers above 8 KiB: a longer one is cut."""

_GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_GRAPH_PREFIX = "Graph execution error:"


class RequestError(Exception):
    """A request (or a warm-up record, or a load) that ends with a status other than OK.

    Attributes:
      code: the gRPC status code.
      message: one readable text, of at most about `MAX_DETAIL_BYTES`.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        data = message.encode("utf-8", "replace")  # whatever the message quotes, it can be sent
        cut = data[:MAX_DETAIL_BYTES].decode("utf-8", "ignore")
        self.message = cut if len(data) <= MAX_DETAIL_BYTES else cut + " ..."
        super().__init__(self.message)

    @classmethod
    def from_exception(cls, error: Exception) -> "RequestError":
        """Give an exception the status code TensorFlow Serving would answer with.

        Args:
          error: a TensorFlow error keeps its canonical code; a missing file is NOT_FOUND; a message that is no text,
            since it quotes the request's bytes, is INVALID_ARGUMENT; anything else is INTERNAL.

        Returns:
          The error itself where it already is a `RequestError`.
        """
        if isinstance(error, RequestError):
            return error
        if isinstance(error, tf.errors.OpError):
            message = str(error.message or error).removeprefix(_GRAPH_PREFIX).strip()
            return cls(_GRPC_CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), message)
        if isinstance(error, UnicodeDecodeError):
            return cls(grpc.StatusCode.INVALID_ARGUMENT, error.object.decode("utf-8", "backslashreplace"))
        code = grpc.StatusCode.NOT_FOUND if isinstance(error, FileNotFoundError) else grpc.StatusCode.INTERNAL
        return cls(code, f"{type(error).__name__}: {error}")
