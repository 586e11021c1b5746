"""What callers may rely on, on the development server and on TensorFlow Serving alike."""

import threading
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.client.ranking_client import RankingClient
from serving.running_server import RunningServer
from tests.serving.servers import MODEL, code, states, wait_for
from tf_e2egrec.errors import E2EGRecError


def test_predict_on_every_signature(client: RankingClient, x: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(client.predict(x, "serving_default")["y"], x["x"])
    keys = np.array([[1, 2], [3, 4]], np.int64)
    text = client.predict({"name": np.array([b"a", b"b"], object), "keys": keys}, "describe")["text"]
    assert text.tolist() == [b"a:3", b"b:7"]


def test_empty_signature_name_and_version_in_the_answer(
    client: RankingClient, x: dict[str, np.ndarray]
) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(client.target))
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x["x"]))
    request.output_filter.append("factor")
    response = stub.Predict(request, timeout=5)
    assert list(response.outputs) == ["factor"]
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    ("inputs", "address", "expected", "text"),
    [
        ({"x": [1.0]}, ("serving_default", 9), grpc.StatusCode.NOT_FOUND, "9"),
        ({"x": [1.0]}, ("absent", None), grpc.StatusCode.FAILED_PRECONDITION, 'key "absent" not found'),
        ({}, ("serving_default", None), grpc.StatusCode.INVALID_ARGUMENT, "Missing but required: {x}"),
        (
            {"x": [1.0], "z": [1.0]},
            ("serving_default", None),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Sent extra: {z}",
        ),
        (
            {"z": [1.0]},
            ("serving_default", None),
            grpc.StatusCode.INVALID_ARGUMENT,
            "Missing but required: {x}",
        ),
        ({"x": ["a"]}, ("serving_default", None), grpc.StatusCode.INVALID_ARGUMENT, "float"),
        ({"x": [13.0]}, ("serving_default", None), grpc.StatusCode.INVALID_ARGUMENT, "thirteen is unlucky"),
        ({"name": ["a"], "keys": [1, 2]}, ("describe", None), grpc.StatusCode.INVALID_ARGUMENT, ""),
    ],
)
def test_error_codes(
    client: RankingClient, inputs: Any, address: tuple[str, int | None], expected: Any, text: str
) -> None:
    arrays = {
        name: np.array(values, None if isinstance(values[0], str | int) else np.float32)
        for name, values in inputs.items()
    }
    with pytest.raises(E2EGRecError) as caught:
        client.predict(arrays, *address)
    assert code(caught.value) == expected
    assert text in str(caught.value)
    assert expected.name in str(caught.value)


def test_unknown_model_is_not_found(client: RankingClient, x: dict[str, np.ndarray]) -> None:
    with RankingClient(client.target, "stranger") as stranger:
        for call in (
            lambda: stranger.predict(x, "serving_default"),
            stranger.model_status,
            lambda: stranger.rank(1, [1]),
        ):
            with pytest.raises(E2EGRecError) as caught:
                call()
            assert code(caught.value) == grpc.StatusCode.NOT_FOUND
            assert "stranger" in str(caught.value)


def test_requests_that_name_nothing(client: RankingClient) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(client.target))
    requests: list[tuple[Any, Any]] = [
        (stub.Predict, predict_pb2.PredictRequest()),
        (stub.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()),
    ]
    nameless = predict_pb2.PredictRequest()
    nameless.model_spec.signature_name = "serving_default"
    requests.append((stub.Predict, nameless))
    for field in ([], ["weights"]):
        metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=field)
        metadata.model_spec.name = MODEL
        requests.append((stub.GetModelMetadata, metadata))
    for method, request in requests:
        with pytest.raises(grpc.RpcError) as caught:
            method(request, timeout=5)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(("output_filter", "text"), [(["nope"], "nope"), (["y", "y"], "duplicate")])
def test_wrong_output_filter(
    client: RankingClient, x: dict[str, np.ndarray], output_filter: list[str], text: str
) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(client.target))
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x["x"]))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=5)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()


def test_metadata_holds_the_signatures(client: RankingClient) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(client.target))
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = MODEL
    response = stub.GetModelMetadata(request, timeout=5)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"rank", "serving_default", "describe"} <= set(signatures.signature_def)
    assert response.model_spec.version.value == 1


def test_large_messages_pass(client: RankingClient) -> None:
    many = np.arange(1_000_000)[np.newaxis]  # 8 MB one way and 12 MB the other, above gRPC's own 4 MiB
    request = {
        "user_id": np.ones(1, np.int64), "recent": np.ones((1, 1), np.int64), "num_recent": np.ones(1, np.int32),
        "candidates": many, "num_candidates": np.full(1, many.size, np.int32), "hour": np.ones(1, np.float32),
        "device": np.array([b"a"]), "channel": np.ones(1, np.int64),
    }  # fmt: skip
    assert client.predict(request)["score"].shape == many.shape
    with (
        RankingClient(client.target, MODEL, max_message_bytes=1024) as small,
        pytest.raises(E2EGRecError) as caught,
    ):
        small.predict(request)
    assert code(caught.value) == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_names_that_are_no_integer_are_ignored(start: Any, export: Any, base_path: Path) -> None:
    export(1)
    for name in ("2-draft", "tmp", "-3"):
        (base_path / name).mkdir()
    with RankingClient(start().target, MODEL) as client:
        assert states(client) == {1: "AVAILABLE"}


def test_hot_swap_under_load(start: Any, export: Any, x: dict[str, np.ndarray]) -> None:
    export(1, factor=1.0)
    server: RunningServer = start()
    stop, errors, answers = threading.Event(), [], []

    def load() -> None:
        with RankingClient(server.target, MODEL, retries=0) as client:
            while not stop.is_set():
                try:
                    answer = client.predict(x, "serving_default")
                except E2EGRecError as error:
                    errors.append(error)
                    continue
                answers.append((float(answer["factor"][0]), (answer["y"] / x["x"]).tolist()))

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        with RankingClient(server.target, MODEL) as client:
            for version in (2, 3):
                export(version, factor=float(version))
                assert client.wait_until_available(20, version) == version
                wait_for(lambda old=version - 1: states(client)[old] == "END")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert {factor for factor, _ in answers} == {1.0, 2.0, 3.0}
    assert all(ratios == [factor, factor] for factor, ratios in answers)


def test_old_version_is_gone_after_the_swap(start: Any, export: Any, x: dict[str, np.ndarray]) -> None:
    export(1)
    with RankingClient(start().target, MODEL) as client:
        export(2, factor=2.0)
        client.wait_until_available(15, 2)
        wait_for(lambda: states(client)[1] == "END")
        with pytest.raises(E2EGRecError) as caught:
            client.predict(x, "serving_default", version=1)
        assert code(caught.value) == grpc.StatusCode.NOT_FOUND
        assert not any(status.failed for status in client.model_status())


def test_classify_regress_multi_inference_refuse(client: RankingClient, setup: Any) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(client.target))
    for method, request in (
        (stub.Classify, classification_pb2.ClassificationRequest()),
        (stub.Regress, regression_pb2.RegressionRequest()),
        (stub.MultiInference, inference_pb2.MultiInferenceRequest()),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            method(request, timeout=5)
        assert (caught.value.code() == grpc.StatusCode.UNIMPLEMENTED) == (setup.kind == "development")


def test_rank_contract(client: RankingClient) -> None:
    ranked = client.rank(7, [13, 29, 5, 18, 39], recent=[1, 2, 3], context={"hour": 4.5})
    assert ranked.item_ids.tolist() == [29, 39, 18, 5, 13]  # 29 and 39 are equal: the caller's order decides
    np.testing.assert_allclose(ranked.reward, [0.9, 0.9, 0.8, 0.5, 0.3], rtol=1e-6)
    np.testing.assert_allclose(ranked.score, ranked.reward)
    np.testing.assert_allclose(ranked.stay_seconds, 7.5)
    assert (ranked.version, len(ranked)) == (1, 5)


@pytest.mark.parametrize(("id_dtype", "recent_length"), [(tf.string, None), (tf.int64, 2)])
def test_rank_with_string_ids_and_a_fixed_recent_length(
    start: Any, export: Any, id_dtype: Any, recent_length: int | None
) -> None:
    export(1, id_dtype=id_dtype, recent_length=recent_length)
    make = str if id_dtype == tf.string else int
    with RankingClient(start().target, MODEL) as client:
        ranked = client.rank(make(7), [make(1), make(2)], recent=[make(id_) for id_ in (5, 6, 7)])
        assert ranked.item_ids.tolist() == [make(2), make(1)]
        assert (
            ranked.stay_seconds.tolist() == [recent_length or 3] * 2
        )  # no hour: sent as NaN, the fake counts 0
        assert client.rank(make(7), [make(1)]).stay_seconds.tolist() == [0.0]


def test_rank_reads_the_signature_again_after_a_swap(start: Any, export: Any) -> None:
    export(1)
    with RankingClient(start().target, MODEL) as client:
        client.rank(1, [1])
        export(2, id_dtype=tf.string)
        client.wait_until_available(15, 2)
        wait_for(lambda: states(client)[1] == "END")
        with pytest.raises(E2EGRecError):
            client.rank(1, [1])
        assert client.rank("1", ["1"]).version == 2
