"""`ConstantLoad`: asks a server for rankings at a steady pace, and remembers every failure and what memory the server has."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.serving_fuzz import (
    MODEL,
    PREDICT,
    ServerProcess,
    arrays_of,
    finite,
    good_requests,
    predict_request,
)

USERS_PER_CALL = 8
_THREADS = 2


class ConstantLoad:
    """Context manager; the load lasts until the block ends.

    Attributes:
      served: requests (users ranked for) that were answered with finite scores.
      failures: what went wrong, in words.
      versions: calls by the version that answered.
      memory: (seconds since the start, bytes resident) of the server.
      seconds: of each answered call.
    """

    def __init__(self, server: ServerProcess, export: Path, calls_per_second: float) -> None:
        """Take the requests from the warm-up records of the newest version.

        Args:
          server: what is asked.
          export: the model's base path.
          calls_per_second: of all threads together; fewer where the server is slower.
        """
        self.served, self.failures = 0, list[str]()
        self.versions, self.memory, self.seconds = Counter[int](), list[tuple[float, int]](), list[float]()
        self._server, self._pause = server, _THREADS / calls_per_second
        ranked = [inputs for signature, inputs in good_requests(export) if signature == "rank"]
        batches = [_repeated(inputs) for inputs in ranked]
        self._messages = [predict_request(MODEL, "rank", batch).SerializeToString() for batch in batches]
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(place,)) for place in range(_THREADS)]
        self._threads.append(threading.Thread(target=self._watch))

    def __enter__(self) -> "ConstantLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, served: int, seconds: float) -> None:
        """Until so many requests are served."""
        deadline = time.monotonic() + seconds
        while self.served < served and time.monotonic() < deadline:
            time.sleep(0.5)

    def _ask(self, place: int) -> None:
        from tensorflow_serving.apis import predict_pb2

        with grpc.insecure_channel(self._server.target) as channel:
            call = channel.unary_unary(PREDICT)
            due = time.monotonic()
            while not self._stop.is_set():
                message = self._messages[place % len(self._messages)]
                place += _THREADS
                started = time.monotonic()
                try:
                    answer = call(message, timeout=60)
                except grpc.RpcError as error:
                    with self._lock:
                        self.failures.append(f"{error.code().name} {(error.details() or '')[:200]}")
                else:
                    is_finite = finite(arrays_of(answer))
                    version = predict_pb2.PredictResponse.FromString(answer).model_spec.version.value
                    with self._lock:
                        self.served += USERS_PER_CALL * is_finite
                        self.versions[version] += 1
                        self.seconds.append(time.monotonic() - started)
                        if not is_finite:
                            self.failures.append("an answer that is not finite")
                due = max(due + self._pause, time.monotonic() - 1.0)  # what was missed is not caught up
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _watch(self) -> None:
        started = time.monotonic()
        while not self._stop.wait(1.0):
            self.memory.append((time.monotonic() - started, self._server.resident_bytes()))


def _repeated(inputs: dict[str, Any]) -> dict[str, Any]:
    """The first user of a request, as many times as a call has users."""
    return {name: np.repeat(value[:1], USERS_PER_CALL, axis=0) for name, value in inputs.items()}
