"""The gRPC health service (grpc.health.v1), whose two tiny messages are read and written here."""

from typing import Any

import grpc

HEALTH_SERVICE = "grpc.health.v1.Health"
_SERVING = b"\x08\x01"  # HealthCheckResponse { status: SERVING }


def health_handler() -> Any:
    """What answers Check, for the server as a whole, as TensorFlow Serving's `--enable_grpc_healthcheck_service` does.

    Returns:
      A handler for `grpc.Server.add_generic_rpc_handlers`; a request that names a service is answered NOT_FOUND.
    """
    method = grpc.unary_unary_rpc_method_handler(_check)  # without serializers: bytes in, bytes out
    return grpc.method_handlers_generic_handler(HEALTH_SERVICE, {"Check": method})


def _check(request: bytes, context: Any) -> bytes:
    if request:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service: ask for the empty name")
    return _SERVING
