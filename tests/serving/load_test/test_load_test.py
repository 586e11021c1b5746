"""Open-loop traffic: what a slow server or a slow tester cannot hide."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client.prediction_messages import predict_request
from serving.load_test.load_outcome import LoadOutcome
from serving.load_test.load_plan import LoadPlan
from serving.load_test.load_plot import write_load_plot
from serving.load_test.load_test import run_load_test
from serving.running_server import RunningServer
from tf_e2egrec.errors import E2EGRecError

STALL = 0.5


class Counter(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Counts calls and callers; `calls` to come may stall or fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.peers: set[str] = set()
        self.names: list[str] = []
        self.stall_at, self.stalled_until = -1, 0.0
        self.fail_every = 0
        self._lock = threading.Lock()

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._lock:
            self.calls += 1
            calls = self.calls
            self.peers.add(context.peer())
            self.names.append(request.model_spec.name)
        if calls == self.stall_at:
            time.sleep(STALL)
            self.stalled_until = time.perf_counter()
        if self.fail_every and calls % self.fail_every == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "every so often")
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = 1 + calls % 2
        return response


@pytest.fixture
def counter() -> Iterator[tuple[Counter, str]]:
    """A server with one thread: a call that stalls keeps all others waiting."""
    servicer = Counter()
    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


def requests(*names: str) -> list[predict_pb2.PredictRequest]:
    return [predict_request(name, {}, "rank") for name in names]


def test_requests_go_out_in_turn_over_all_connections(counter: tuple[Counter, str]) -> None:
    servicer, target = counter
    told: list[int] = []
    outcome = run_load_test(target, requests("a", "b", "c"), LoadPlan(100, 0.3, connections=3), told.append)
    assert isinstance(outcome, LoadOutcome)
    assert len(outcome.scheduled) == 30
    assert servicer.calls == 33  # one call more on each connection, before the start
    assert len(servicer.peers) == 3
    assert servicer.names[:3] == ["a"] * 3
    assert sorted(servicer.names[3:]) == ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    assert outcome.versions.keys() == {"1", "2"}
    assert sum(outcome.versions.values()) == 30
    assert told[-1] == 30
    assert (outcome.sent >= outcome.scheduled).all()
    assert (outcome.finished >= outcome.sent).all()


def test_a_stall_is_felt_by_every_request_that_was_due_meanwhile(counter: tuple[Counter, str]) -> None:
    servicer, target = counter
    servicer.stall_at = 2  # the first that counts
    plan = LoadPlan(40, STALL, connections=1, arrivals="uniform")
    outcome = run_load_test(target, requests("a"), plan)
    assert len(outcome.scheduled) == 20
    # A tester that waited for the answer before it sent the next request would see one slow request out of all.
    np.testing.assert_array_less(STALL - outcome.scheduled - 0.02, outcome.latency)


def test_a_slow_tester_is_no_excuse(counter: tuple[Counter, str]) -> None:
    _, target = counter
    stalls = iter([STALL])

    def progress(_: int) -> None:
        time.sleep(next(stalls, 0))

    plan = LoadPlan(40, STALL, connections=1, arrivals="uniform")
    outcome = run_load_test(target, requests("a"), plan, progress)
    late = outcome.sent - outcome.scheduled
    assert late.max() > STALL / 2
    assert (outcome.latency >= late).all()
    assert outcome.send_lag()["max"] == pytest.approx(late.max())


def test_errors_are_counted_by_code(counter: tuple[Counter, str]) -> None:
    servicer, target = counter
    servicer.fail_every = 4
    outcome = run_load_test(target, requests("a"), LoadPlan(100, 0.4, connections=1))
    assert outcome.errors == {"RESOURCE_EXHAUSTED": 10}
    assert outcome.error_rate == pytest.approx(0.25)


def test_a_request_that_takes_too_long_fails(counter: tuple[Counter, str]) -> None:
    servicer, target = counter
    servicer.stall_at = 2
    outcome = run_load_test(target, requests("a"), LoadPlan(1, 1, connections=1, timeout=0.1))
    assert outcome.errors == {"DEADLINE_EXCEEDED": 1}
    assert outcome.versions == {}


def test_a_wrong_address_or_name_is_said_before_the_start(
    start: Callable[[], RunningServer], export: Callable[..., Path]
) -> None:
    with pytest.raises(E2EGRecError, match=r"127\.0\.0\.1:1 cannot be reached"):
        run_load_test("127.0.0.1:1", requests("a"), LoadPlan(10, 60))
    export(1)
    with pytest.raises(E2EGRecError, match=r"does not serve this model or version \(model stranger"):
        run_load_test(start().target, requests("stranger"), LoadPlan(10, 60))


def test_a_plot_is_written(tmp_path: Path) -> None:
    scheduled = np.arange(10) / 10
    code = np.array(["OK"] * 8 + ["INTERNAL"] * 2)
    made = LoadOutcome(scheduled, scheduled, scheduled + 0.01, code, np.ones(10, np.int64))
    for name, outcome in (("some", made), ("none", LoadOutcome(*(one[8:] for one in vars(made).values())))):
        path = tmp_path / "plots" / f"{name}.png"
        write_load_plot(outcome, path, "a title")
        assert path.read_bytes().startswith(b"\x89PNG")
