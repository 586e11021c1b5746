"""`CallPolicy`: how long a call may take, and when it is repeated."""

import dataclasses
import random
from typing import Any

import grpc

FIRST_BACKOFF_SECONDS = 0.1
_LEAST_TIMEOUT_SECONDS = 0.001  # gRPC refuses zero


@dataclasses.dataclass(frozen=True)
class CallPolicy:
    """The timeout covers all attempts and the pauses between them.

    Attributes:
      timeout: seconds.
      retries: how often a call is repeated at most.
      retried: status codes after which it is repeated.
    """

    timeout: float = 5.0
    retries: int = 2
    retried: frozenset[grpc.StatusCode] = frozenset({grpc.StatusCode.UNAVAILABLE})

    @staticmethod
    def retrying(timeout: float, retries: int, resource_exhausted: bool) -> "CallPolicy":
        """After UNAVAILABLE, and after RESOURCE_EXHAUSTED where asked for."""
        also = {grpc.StatusCode.RESOURCE_EXHAUSTED} if resource_exhausted else set()
        return CallPolicy(timeout, retries, CallPolicy.retried | also)

    def remaining(self, started: float, now: float) -> float:
        """What is left of the timeout, seconds.

        Args:
          started, now: of one monotonic clock, seconds.
        """
        return max(_LEAST_TIMEOUT_SECONDS, started + self.timeout - now)

    def pause(self, error: Any, attempt: int, started: float, now: float) -> float | None:
        """How long to wait before the call is repeated: doubled by each attempt, and up to half of it left out by chance, so
        that callers who failed together do not come back together.

        Args:
          error: the `grpc.RpcError` the attempt ended with.
          attempt: 0 for the first.
          started, now: of one monotonic clock, seconds.

        Returns:
          Seconds; None where it is not repeated, because that would not help or the timeout would pass.
        """
        if error.code() not in self.retried or attempt >= self.retries:
            return None
        pause = FIRST_BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1.0)
        return pause if now + pause < started + self.timeout else None
