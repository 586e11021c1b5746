"""JSON and tensors: there and back, and what is no tensor."""

import base64
import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn
from tensorflow.core.protobuf import meta_graph_pb2

from serving.development_server.request_error import RequestError
from serving.development_server.rest_json import dump_predict, parse_predict

DTYPES = [np.int64, np.int32, np.uint8, np.float32, np.float64, np.float16, np.bool_]


def signature(**dtypes: Any) -> Any:
    made = meta_graph_pb2.SignatureDef()
    for name, dtype in dtypes.items():
        made.inputs[name].dtype = tf.dtypes.as_dtype(dtype).as_datatype_enum
    return made


def parse(content: Any, **dtypes: Any) -> dict[str, np.ndarray]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    _, tensors, _ = parse_predict(body, lambda name: signature(**dtypes))
    return {name: tf.make_ndarray(proto) for name, proto in tensors.items()}


@given(st.sampled_from(DTYPES), hn.array_shapes(min_dims=1, max_dims=3, max_side=3), st.data())
def test_there_and_back(dtype: Any, shape: tuple[int, ...], data: st.DataObject) -> None:
    array = data.draw(hn.arrays(dtype, shape))
    for by_rows, key, answer in ((True, "instances", "predictions"), (False, "inputs", "outputs")):
        content = json.loads(dump_predict({"one": array}, by_rows))
        (back,) = parse(json.dumps({key: content[answer]}).encode(), one=dtype).values()
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=4))
def test_binary_values(values: list[bytes]) -> None:
    answer = json.loads(dump_predict({"raw_bytes": np.array(values, object)}, by_rows=False))
    assert [base64.b64decode(one["b64"]) for one in answer["outputs"]] == values
    assert parse({"instances": answer["outputs"]}, raw=tf.string)["raw"].tolist() == values


def test_texts_and_short_decimals() -> None:
    assert json.loads(dump_predict({"text": np.array(["é".encode(), b"\xff"], object)}, False))[
        "outputs"
    ] == ["é", "�"]
    assert dump_predict({"p": np.array([0.1, 1e-8], np.float32)}, False) == b'{"outputs": [0.1, 1e-08]}'
    assert parse({"instances": ["é"]}, text=tf.string)["text"].tolist() == ["é".encode()]


def test_one_value_and_no_batch() -> None:
    assert parse({"inputs": 3}, x=np.int64)["x"].shape == ()
    assert dump_predict({"y": np.float32(2.0)}, by_rows=False) == b'{"outputs": 2.0}'
    for outputs in ({"y": np.float32(2.0)}, {"y": np.zeros(2), "z": np.zeros(3)}):
        with pytest.raises(RequestError, match="no batch dimension in common"):
            dump_predict(outputs, by_rows=True)


@pytest.mark.parametrize(
    ("content", "dtype", "text"),
    [
        ({"inputs": [2**63]}, np.int64, "does not fit into int64"),
        ({"inputs": [-1]}, np.uint8, "does not fit into uint8"),
        ({"inputs": [10**400]}, np.float32, "does not fit into float32"),
        ({"inputs": [1.0]}, np.int64, "not of expected type: int64"),
        ({"inputs": [True]}, np.int64, "not of expected type: int64"),
        ({"inputs": [None]}, np.float32, "null of input x is not of expected type"),
        ({"inputs": [1]}, np.bool_, "not of expected type: bool"),
        ({"inputs": [{"b64": "?"}]}, tf.string, "unable to decode"),
        ({"inputs": [{"b64": 3}]}, tf.string, "unable to decode"),
        ({"inputs": [{"c64": ""}]}, tf.string, "not of expected type: string"),
        ({"inputs": [[1], 2]}, np.int64, "different lengths or depths"),
        ({"inputs": [1, [2]]}, np.int64, "a list where others have a value"),
        ({"inputs": [[[1], [2]], [[3]]]}, np.int64, "different lengths or depths"),
        ({"inputs": "a" * 10_000}, np.int64, r"aaa \.\.\. of input x"),
        ([], np.int64, "no JSON object"),
        (b"\xff", np.int64, "JSON Parse error"),
    ],
)
def test_what_is_no_tensor(content: Any, dtype: Any, text: str) -> None:
    with pytest.raises(RequestError, match=text):
        parse(content, x=dtype)


def test_names_of_inputs() -> None:
    assert parse({"inputs": {"a": [1], "b": [2]}}, a=np.int64, b=np.int64)["b"].tolist() == [2]
    for content, text in (
        ({"inputs": {"a": [1]}}, "missing inputs: ..b.."),
        (
            {"instances": [{"a": 1, "b": 1}, {"a": 1, "c": 1}]},
            "row 1 of 'instances'.*missing inputs: ..b.., unknown",
        ),
        ({"instances": [1]}, "an object with a value for each of a, b"),
    ):
        with pytest.raises(RequestError, match=text):
            parse(content, a=np.int64, b=np.int64)
