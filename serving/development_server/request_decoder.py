"""`RequestDecoder`: what becomes of bytes that are no message."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError


class RequestDecoder(grpc.ServerInterceptor):
    """Answers INTERNAL to bytes that cannot be decoded, as gRPC does, without its traceback in the log and its leak.

    gRPC's own way keeps more than 10 KB of memory for each such request.
    """

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Put the decoder before a call's handler."""
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or handler.request_deserializer is None:
            return handler

        def decode(data: bytes) -> Any:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return data

        def answer(request: Any, context: Any) -> Any:
            if isinstance(request, bytes):
                context.abort(grpc.StatusCode.INTERNAL, "the request is no message of this call")
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, decode, handler.response_serializer)
