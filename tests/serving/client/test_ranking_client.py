"""Both clients against servers that misbehave on purpose."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.client.call_policy import CallPolicy
from serving.client.rank_request import rank_inputs
from tests.serving.both_clients import BOTH, MakeClient
from tf_e2egrec.errors import E2EGRecError

X = {"x": np.ones(1, np.float32)}


class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers each call with the next status; OK once the list is empty."""

    def __init__(self) -> None:
        self.script: list[grpc.StatusCode] = []
        self.calls = 0
        self.delay: Callable[[], object] = lambda: None
        self.outputs: dict[str, np.ndarray] = {}
        self.signatures: dict[str, Any] = {}

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls += 1
        self.delay()
        if self.script:
            context.abort(self.script.pop(0), "as the script says")
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = 7
        for name, array in self.outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.script:
            context.abort(self.script.pop(0), "as the script says")
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, one in self.signatures.items():
            found.signature_def[name].CopyFrom(one)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(found)
        return response


@pytest.fixture(params=sorted(BOTH))
def make_client(request: pytest.FixtureRequest) -> MakeClient:
    return BOTH[request.param]


@pytest.fixture
def scripted() -> Iterator[tuple[Scripted, str]]:
    servicer = Scripted()
    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("script", "options", "calls", "passes"),
    [
        ([grpc.StatusCode.UNAVAILABLE] * 2, {}, 3, True),
        ([grpc.StatusCode.UNAVAILABLE] * 3, {}, 3, False),
        ([grpc.StatusCode.UNAVAILABLE], {"retries": 0}, 1, False),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED], {}, 1, False),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED], {"retry_resource_exhausted": True}, 2, True),
        ([grpc.StatusCode.INVALID_ARGUMENT], {}, 1, False),
        ([grpc.StatusCode.INTERNAL], {}, 1, False),
    ],
)
def test_retries(
    make_client: MakeClient,
    scripted: tuple[Scripted, str],
    script: list[grpc.StatusCode],
    options: dict[str, Any],
    calls: int,
    passes: bool,
) -> None:
    servicer, target = scripted
    servicer.script = list(script)
    with make_client(target, "tiny", **options) as client:
        if passes:
            assert client.predict(X) == {}
        else:
            with pytest.raises(E2EGRecError) as caught:
                client.predict(X)
            text = str(caught.value)
            assert "\n" not in text
            assert all(part in text for part in (target, "tiny", script[0].name, "as the script says"))
            assert isinstance(caught.value.__cause__, grpc.RpcError)
    assert servicer.calls == calls


def test_the_timeout_covers_the_retries(make_client: MakeClient, scripted: tuple[Scripted, str]) -> None:
    servicer, target = scripted
    release = threading.Event()
    servicer.delay = lambda: release.wait(5)
    with make_client(target, "tiny", timeout=0.3) as client:
        started = time.monotonic()
        with pytest.raises(E2EGRecError, match="DEADLINE_EXCEEDED") as caught:
            client.predict(X)
        assert time.monotonic() - started < 2
        assert "raise the timeout" in str(caught.value)
    release.set()


def test_the_timeout_covers_reading_the_signature_and_the_pauses(
    make_client: MakeClient, scripted: tuple[Scripted, str]
) -> None:
    servicer, target = scripted
    servicer.signatures = {"rank": signature()}
    servicer.script = [grpc.StatusCode.UNAVAILABLE] * 50
    with make_client(target, "tiny", timeout=0.4, retries=50) as client:
        started = time.monotonic()
        with pytest.raises(E2EGRecError, match="UNAVAILABLE"):
            client.rank(1, [2])
        assert time.monotonic() - started < 2
    assert len(servicer.script) > 40


@given(
    st.sampled_from([grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL]),
    st.integers(0, 8),
    st.integers(0, 8),
    st.floats(0.01, 60),
    st.floats(0, 60),
)
def test_pauses_double_and_end_before_the_timeout(
    code: grpc.StatusCode, attempt: int, retries: int, timeout: float, passed: float
) -> None:
    error = mock.Mock(code=lambda: code)
    policy = CallPolicy(timeout, retries)
    pause = policy.pause(error, attempt, started=100.0, now=100.0 + passed)
    if code != grpc.StatusCode.UNAVAILABLE or attempt >= retries:
        assert pause is None
    elif pause is None:
        assert passed + 0.1 * 2**attempt >= timeout * (1 - 1e-9)
    else:
        assert 0.05 * 2**attempt <= pause <= 0.1 * 2**attempt
        assert passed + pause < timeout * (1 + 1e-9)
    assert policy.remaining(100.0, 100.0 + passed) == pytest.approx(max(0.001, timeout - passed))


def test_pauses_are_spread() -> None:
    error = mock.Mock(code=lambda: grpc.StatusCode.UNAVAILABLE)
    assert len({CallPolicy().pause(error, 0, 0.0, 0.0) for _ in range(20)}) > 10


def test_what_a_batch_padded_is_cut_off(make_client: MakeClient, scripted: tuple[Scripted, str]) -> None:
    servicer, target = scripted
    servicer.signatures = {"rank": signature(hour=tf.float32)}
    row = np.array([[0.2, 0.4, 0.9, 0.9]], np.float32)
    servicer.outputs = {"reward": row, "stay_seconds": row * 10, "score": row}
    with make_client(target, "tiny") as client:
        answer = client.rank(1, [5, 6], recent=[1])
        assert answer.item_ids.tolist() == [6, 5]
        assert answer.stay_seconds.tolist() == [4.0, 2.0]
        assert answer.version == 7
        with pytest.raises(
            E2EGRecError, match=r"version 7 of the model answered \[1, 4\] for reward instead of \[1, 5\]"
        ):
            client.rank(1, [5, 6, 7, 8, 9])
        servicer.outputs = {"reward": row}
        with pytest.raises(E2EGRecError, match="answered nothing for stay_seconds"):
            client.rank(1, [5])
        with pytest.raises(E2EGRecError, match="has no retrieve signature; it has rank"):
            client.retrieve([1])


@pytest.mark.parametrize("id_dtype", [tf.int64, tf.string])
def test_retrieved_items_end_at_their_number(
    make_client: MakeClient, scripted: tuple[Scripted, str], id_dtype: Any
) -> None:
    servicer, target = scripted
    full = signature(id_dtype)
    for name in ("user_id", "candidates", "num_candidates"):
        del full.inputs[name]
    servicer.signatures = {"retrieve": full}
    text = id_dtype == tf.string
    items = np.array([[b"a", b"b", b""]], object) if text else np.array([[8, 9, -1]])
    scores = np.array([[0.5, 0.25, 0.0]], np.float32)
    servicer.outputs = {"items": items, "scores": scores, "num_items": np.array([2], np.int32)}
    with make_client(target, "tiny") as client:
        answer = client.retrieve(["x"] if text else [1])
        assert answer.item_ids.tolist() == (["a", "b"] if text else [8, 9])
        assert answer.score.tolist() == [0.5, 0.25]
        assert (len(answer), answer.version) == (2, 7)
        assert len(client.retrieve([], limit=1)) == 1
        assert len(client.retrieve([], limit=5)) == 2
        with pytest.raises(E2EGRecError, match="at least 1"):
            client.retrieve([], limit=0)
        with pytest.raises(E2EGRecError, match="recent: the model takes"):
            client.retrieve([1] if text else ["x"])
        servicer.outputs = {"items": items, "scores": scores}
        with pytest.raises(E2EGRecError, match="answered nothing for num_items"):
            client.retrieve([])


def test_embeddings(make_client: MakeClient, scripted: tuple[Scripted, str]) -> None:
    servicer, target = scripted
    made = meta_graph_pb2.SignatureDef()
    made.inputs["items"].dtype = tf.int64.as_datatype_enum
    made.inputs["items"].tensor_shape.dim.add().size = -1
    servicer.signatures = {"embed": made}
    servicer.outputs = {"z": np.eye(3, dtype=np.float32)}
    with make_client(target, "tiny") as client:
        np.testing.assert_array_equal(client.embed([1, 2, 3]), np.eye(3))
        with pytest.raises(E2EGRecError, match=r"instead of \[2, width\]"):
            client.embed([1, 2])
        with pytest.raises(E2EGRecError, match="at least one item"):
            client.embed([])
        with pytest.raises(E2EGRecError, match="items: the model takes int64"):
            client.embed(["a"])


def test_nobody_there(make_client: MakeClient) -> None:
    with make_client("127.0.0.1:1", "tiny", timeout=1) as client:
        with pytest.raises(E2EGRecError, match="cannot be reached"):
            client.predict(X)
        with pytest.raises(E2EGRecError, match=r"not available within 0.2 s .*UNAVAILABLE"):
            client.wait_until_available(0.2)


def test_waiting_stops_when_the_check_raises(make_client: MakeClient) -> None:
    def check() -> None:
        raise E2EGRecError("the server has died")

    with make_client("127.0.0.1:1", "tiny") as client, pytest.raises(E2EGRecError, match="has died"):
        client.wait_until_available(60, check=check)


def test_an_empty_list_is_refused_without_a_server(make_client: MakeClient) -> None:
    with make_client("127.0.0.1:1", "tiny") as client:
        for empty in ([], (), np.array([], np.int64)):
            with pytest.raises(E2EGRecError, match="at least one candidate"):
                client.rank(1, empty)
        with pytest.raises(E2EGRecError, match="list of ids"):
            client.rank(1, "abc")


def test_an_array_that_is_no_tensor_is_said(make_client: MakeClient) -> None:
    with make_client("127.0.0.1:1", "tiny") as client, pytest.raises(E2EGRecError, match="input x"):
        client.predict({"x": np.array([object()])})


def signature(id_dtype: Any = tf.int64, length: int = -1, **features: Any) -> Any:
    made = meta_graph_pb2.SignatureDef()
    dims = {"user_id": [-1], "candidates": [-1, length], "recent": [-1, length]}
    dtypes = {"user_id": id_dtype, "candidates": id_dtype, "recent": id_dtype}
    for name, dtype in (dtypes | {"num_candidates": tf.int32, "num_recent": tf.int32} | features).items():
        made.inputs[name].dtype = dtype.as_datatype_enum
        for size in dims.get(name, [-1]):
            made.inputs[name].tensor_shape.dim.add().size = size
    return made


def test_what_is_left_out_is_sent_as_missing() -> None:
    features = {"hour": tf.float32, "device": tf.string, "channel": tf.int64, "age": tf.int32}
    inputs = rank_inputs(signature(**features), 7, [1, 2, 3], context={"age": 30, "channel": None})
    assert np.isnan(inputs["hour"]).tolist() == [True]
    assert inputs["device"].tolist() == [b""]
    assert inputs["channel"].tolist() == [-1]
    assert inputs["age"].tolist() == [30]
    assert (inputs["recent"].tolist(), inputs["num_recent"].tolist()) == ([[-1]], [0])
    assert (inputs["candidates"].tolist(), inputs["num_candidates"].tolist()) == ([[1, 2, 3]], [3])
    assert {name: str(array.dtype) for name, array in inputs.items()} == {
        "user_id": "int64", "candidates": "int64", "recent": "int64", "num_recent": "int32",
        "num_candidates": "int32", "hour": "float32", "device": "object", "channel": "int64", "age": "int32",
    }  # fmt: skip


def test_fixed_lengths_are_padded_and_cut() -> None:
    inputs = rank_inputs(signature(length=3), 7, [1, 2], recent=[9, 8, 7, 6])
    assert (inputs["candidates"].tolist(), inputs["num_candidates"].tolist()) == ([[1, 2, -1]], [2])
    assert (inputs["recent"].tolist(), inputs["num_recent"].tolist()) == ([[9, 8, 7]], [3])
    with pytest.raises(E2EGRecError, match="at most 3"):
        rank_inputs(signature(length=3), 7, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("id_dtype", "user_id", "candidates", "context", "text"),
    [
        (tf.int64, "7", [1], {}, "user_id: the model takes int64, got '7'"),
        (tf.string, 7, ["1"], {}, "user_id: the model takes string"),
        (tf.int64, 7, [1, "2"], {}, "candidates: the model takes int64"),
        (tf.int64, 7, [2**63], {}, "does not fit"),
        (tf.int64, 7, [1], {"hour": "noon"}, "hour: the model takes float32"),
        (tf.int64, 7, [1], {"minute": 3}, "no context feature minute; it has hour"),
        (tf.int64, True, [1], {}, "user_id"),
    ],
)
def test_mistakes_in_a_ranking_request(
    id_dtype: Any, user_id: Any, candidates: Any, context: dict[str, Any], text: str
) -> None:
    with pytest.raises(E2EGRecError) as caught:
        rank_inputs(signature(id_dtype, hour=tf.float32), user_id, candidates, (), context)
    assert text in str(caught.value)


def test_a_foreign_signature_is_refused() -> None:
    foreign = signature()
    del foreign.inputs["num_candidates"]
    with pytest.raises(E2EGRecError, match="lacks the inputs num_candidates"):
        rank_inputs(foreign, 1, [1])
