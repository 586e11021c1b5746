"""What only the development server does, or does differently."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_log_pb2,
)

from serving.client import RankingClient
from serving.development_server import DevelopmentServer
from serving.warmup import WARMUP_FILE
from tf_e2egrec.errors import E2EGRecError

MODEL = "tiny"


def server(base_path: Path, **options: Any) -> DevelopmentServer:
    return DevelopmentServer(base_path, MODEL, port=0, poll_seconds=0.1, **options)


def factor(client: RankingClient, version: int | str | None = None) -> float:
    return float(client.predict({"x": np.ones(1, np.float32)}, "serving_default", version)["factor"][0])


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def states(client: RankingClient) -> dict[int, str]:
    return {status.version: status.state for status in client.model_status()}


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


def test_labels(base_path: Path, export: Any) -> None:
    export(1)
    export(2, factor=2.0)
    labels = {"stable": 1, "canary": 2}
    with server(base_path, labels=labels) as running, RankingClient(running.target, MODEL) as client:
        assert (factor(client, "stable"), factor(client, "canary"), factor(client)) == (1.0, 2.0, 2.0)
        assert client.rank(1, [1, 2], version="stable").version == 1
        with pytest.raises(E2EGRecError, match=r"INVALID_ARGUMENT.*nightly"):
            factor(client, "nightly")
        with pytest.raises(E2EGRecError, match="stable: 7"):
            running.set_labels({"stable": 7})
        assert factor(client, "stable") == 1.0  # a refused change changes nothing
        running.set_labels({"stable": 2})
        wait_for(lambda: states(client)[1] == "END")
        assert factor(client, "stable") == 2.0
    with pytest.raises(E2EGRecError, match="canary: 9"):
        server(base_path, labels={"canary": 9}).start()


def test_status_of_one_version_and_a_config_reload(base_path: Path, export: Any) -> None:
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
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


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
    with server(base_path, labels=None) as running, RankingClient(running.target, MODEL) as client:
        assert "no PredictionLog" in client.model_status()[0].error_message
        shutil.rmtree(base_path / "2")
        wait_for(lambda: states(client).get(1) == "END")
        assert "no predict_log" in client.model_status()[1].error_message
