"""What a failed call says to people."""

from typing import Any

import grpc

from tf_e2egrec.errors import E2EGRecError

ADVICE: dict[grpc.StatusCode, str] = {
    grpc.StatusCode.UNAVAILABLE: "cannot be reached: start it, or correct the address",
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time: raise the timeout, or send fewer candidates",
    grpc.StatusCode.NOT_FOUND: "does not serve this model or version",
    grpc.StatusCode.INVALID_ARGUMENT: "refused the request",
    grpc.StatusCode.FAILED_PRECONDITION: "cannot answer this request",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "is overloaded, or a message is larger than allowed",
    grpc.StatusCode.UNIMPLEMENTED: "does not offer this call",
}


def readable_error(error: Any, target: str, model_name: str) -> E2EGRecError:
    """One sentence for a failed call.

    Args:
      error: the `grpc.RpcError`, of a blocking or an asyncio channel.
      target: the server's address.
      model_name: which model was asked.
    """
    advice = ADVICE.get(error.code(), "failed")
    details = " ".join(str(error.details()).split())
    return E2EGRecError(f"server {target} {advice} (model {model_name}, {error.code().name}): {details}")
