"""What only the development server does, or does differently."""

import shutil
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving.client.ranking_client import RankingClient
from serving.development_server.development_server import DevelopmentServer
from serving.warmup import WARMUP_FILE
from tests.serving.servers import MODEL, factor, states, wait_for
from tf_e2egrec.errors import E2EGRecError


def server(base_path: Path, **options: Any) -> DevelopmentServer:
    return DevelopmentServer(base_path, MODEL, port=0, poll_seconds=0.1, **options)


def test_it_says_what_it_is_and_listens_on_loopback(base_path: Path, export: Any, capsys: Any) -> None:
    export(1)
    with server(base_path) as running:
        printed = capsys.readouterr().out
        assert printed.count("\n") == 1
        assert "not TensorFlow Serving" in printed
        assert f"127.0.0.1:{running.port}" in printed
        assert running.target == f"127.0.0.1:{running.port}"
        with RankingClient(running.target, MODEL) as client:
            assert factor(client) == 1.0
    with (
        RankingClient(running.target, MODEL, timeout=0.5) as client,
        pytest.raises(E2EGRecError, match="cannot be reached"),
    ):
        client.model_status()
    running.stop()  # a second stop is harmless


def test_loading_needs_no_python_code_and_no_deprecation_notice(
    base_path: Path, export: Any, capfd: Any
) -> None:
    export(1)
    capfd.readouterr()
    with server(base_path):
        assert "deprecated" not in capfd.readouterr().err


def test_a_taken_port_and_a_missing_directory_are_said(base_path: Path, export: Any) -> None:
    export(1)
    with server(base_path) as running, pytest.raises(E2EGRecError, match=f"{running.port}.*taken"):
        DevelopmentServer(base_path, MODEL, port=running.port).start()
    with pytest.raises(E2EGRecError, match="no such directory"):
        server(base_path / "nowhere").start()


def test_an_empty_directory_is_waited_for(base_path: Path, export: Any) -> None:
    with server(base_path) as running, RankingClient(running.target, MODEL) as client:
        with pytest.raises(E2EGRecError, match="NOT_FOUND"):
            factor(client)
        export(4, factor=4.0)
        assert client.wait_until_available(10) == 4
        assert factor(client) == 4.0


def test_a_version_that_failed_is_tried_again_when_its_files_change(base_path: Path, export: Any) -> None:
    export(1)
    with server(base_path) as running, RankingClient(running.target, MODEL) as client:
        (base_path / "2").mkdir()
        wait_for(lambda: states(client).get(2) == "END")
        assert "saved_model.pb" in client.model_status()[0].error_message.replace(
            "SavedModel ", "saved_model"
        )
        assert factor(client) == 1.0
        export(2, factor=2.0)
        wait_for(lambda: states(client)[2] == "AVAILABLE")
        assert factor(client) == 2.0


def test_removing_the_newest_version_goes_back(base_path: Path, export: Any) -> None:
    export(1)
    export(2, factor=2.0)
    with server(base_path) as running, RankingClient(running.target, MODEL) as client:
        assert states(client) == {2: "AVAILABLE"}  # the newest alone is loaded
        shutil.rmtree(base_path / "2")
        client.wait_until_available(10, 1)
        assert factor(client) == 1.0


def test_status_of_one_version(base_path: Path, export: Any) -> None:
    export(1)
    with server(base_path) as running, grpc.insecure_channel(running.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        request = get_model_status_pb2.GetModelStatusRequest()
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetModelStatus(request, timeout=5)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        request.model_spec.name = MODEL
        request.model_spec.version.value = 1
        assert len(stub.GetModelStatus(request, timeout=5).model_version_status) == 1
        request.model_spec.version.value = 2
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetModelStatus(request, timeout=5)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def _python_signature(model: Any) -> dict[str, Any]:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def call(x: Any) -> dict[str, Any]:
        return {"y": tf.numpy_function(lambda values: values, [x], tf.float32)}

    model.call = call
    return {"python": call}


def test_a_graph_that_calls_python_is_refused(base_path: Path, export: Any) -> None:
    export(1, extra=_python_signature)
    with (
        server(base_path) as running,
        RankingClient(running.target, MODEL) as client,
        pytest.raises(E2EGRecError, match=r"PyFunc.*TensorFlow operations"),
    ):
        client.wait_until_available(10)


def _write_log(directory: Path, record: bytes) -> None:
    path = directory / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(record)


def test_other_warm_up_records_fail_the_version(base_path: Path, export: Any) -> None:
    regress = prediction_log_pb2.PredictionLog()
    regress.regress_log.request.model_spec.name = MODEL
    export(1, before_rename=lambda directory: _write_log(directory, regress.SerializeToString()))
    export(2, before_rename=lambda directory: _write_log(directory, b"\xff\xff\xff"))
    with server(base_path) as running, RankingClient(running.target, MODEL) as client:
        assert "no PredictionLog" in client.model_status()[0].error_message
        shutil.rmtree(base_path / "2")
        wait_for(lambda: states(client).get(1) == "END")
        assert "no predict_log" in client.model_status()[1].error_message


def test_health(base_path: Path, export: Any) -> None:
    export(1)
    with server(base_path) as running, grpc.insecure_channel(running.target) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")  # bytes in, bytes out
        assert check(b"", timeout=5) == b"\x08\x01"  # HealthCheckResponse { status: SERVING }
        with pytest.raises(grpc.RpcError) as caught:
            check(b"\x0a\x01a", timeout=5)  # HealthCheckRequest { service: "a" }
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", -1), "has no shape"),
        (lambda tensor: setattr(tensor.tensor_shape, "unknown_rank", True), "has no shape"),
        (lambda tensor: setattr(tensor.tensor_shape.dim[0], "size", 2**40), "elements, more than"),
        (lambda tensor: setattr(tensor, "tensor_content", b"abc"), "tensor parsing error"),
        (lambda tensor: tensor.Clear(), "none is provided"),
    ],
    ids=["a negative size", "no rank", "a huge size", "a cut content", "nothing"],
)
def test_tensors_that_are_none(base_path: Path, export: Any, spoil: Any, text: str) -> None:
    """One value that shall fill 2**40 places would fill the memory."""
    export(1)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(1, np.float32)))
    spoil(request.inputs["x"])
    with (
        server(base_path) as running,
        grpc.insecure_channel(running.target) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()


def test_long_errors_reach_the_caller(base_path: Path, export: Any) -> None:
    """gRPC sends them as a header, three bytes for each that is no ASCII, of at most 8 KiB in all."""
    export(1)
    with server(base_path) as running:
        for name in ("é" * 10_000, "a" * 10_000, "\U0001f600" * 10_000):
            with (
                RankingClient(running.target, name) as client,
                pytest.raises(E2EGRecError, match="NOT_FOUND"),
            ):
                client.model_status()


def test_bytes_that_are_no_message(base_path: Path, export: Any, capfd: Any) -> None:
    export(1)
    with server(base_path) as running, grpc.insecure_channel(running.target) as channel:
        capfd.readouterr()
        for call in ("PredictionService/Predict", "ModelService/GetModelStatus"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/tensorflow.serving.{call}")(b"\xff\xff", timeout=30)
            assert caught.value.code() == grpc.StatusCode.INTERNAL
            assert caught.value.details() == "the request is no message of this call"
    assert capfd.readouterr().err == ""
