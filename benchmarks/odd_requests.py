"""Requests that no client of ours sends: what a server is fuzzed with, and what it may answer to them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

Inputs = Mapping[str, np.ndarray]
ANSWERED = frozenset({"OK"})
REFUSED = frozenset({"INVALID_ARGUMENT"})
EITHER = ANSWERED | REFUSED
UNREADABLE = REFUSED | {"DATA_LOSS"}  # what may be said of a subgraph record
# Whatever the bytes mean, they mean no request.
NONSENSE = UNREADABLE | {"INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "NOT_FOUND", "FAILED_PRECONDITION"}
MANY, HUGE = 10_000, 100_000
_DEAR = "10,000 candidates"  # takes most of the time if it comes as often as others
REST_CODES = frozenset({200, 400, 404, 411, 413, 501})


class OddRequest(NamedTuple):
    """One request.

    Attributes:
      kind: what is odd about it.
      message: the `PredictRequest`, serialized, or the body of a REST request.
      codes: status codes that are right answers.
    """

    kind: str
    message: bytes
    codes: frozenset[str]


def predict_request(model: str, signature: str, inputs: Inputs) -> Any:
    """`PredictRequest` message."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def odd_request(random: np.random.Generator, model: str, signature: str, inputs: Inputs) -> OddRequest:
    """Make a good request odd in one way.

    Args:
      random: decides which way.
      model: the model's name.
      signature: the good request's signature.
      inputs: the good request's inputs.
    """
    kinds = [*_INPUT_CHANGES, *_MESSAGE_CHANGES]
    kind = kinds[random.integers(len(kinds))]
    if kind == _DEAR and random.integers(10):
        kind = "wrong rank"
    if kind in _INPUT_CHANGES:
        changed, codes = _INPUT_CHANGES[kind](random, dict(inputs))
        if signature == "serving_default" and "OK" in codes:
            codes = ANSWERED | UNREADABLE  # the odd examples may be none at all
        message = predict_request(model, signature, changed).SerializeToString()
        return OddRequest(kind, message, codes)
    message, codes = _MESSAGE_CHANGES[kind](random, predict_request(model, signature, inputs))
    return OddRequest(kind, message, codes)


def odd_body(random: np.random.Generator, signature: str, inputs: Inputs) -> bytes:
    """The body of a REST request that is hardly one."""
    plain = {name: [str(one) for one in value.ravel()] for name, value in inputs.items()}
    good = json.dumps({"signature_name": signature, "inputs": plain}).encode()
    choices = (
        good,  # numbers as text: refused
        good[: random.integers(len(good))],
        random.bytes(int(random.integers(1, 200))),
        b"[" * int(random.integers(1, 50_000)),
        json.dumps({"instances": [plain] * 3, "signature_name": "\ud800"}).encode(),
        json.dumps({"inputs": dict.fromkeys(plain), "signature_name": signature}).encode(),
        json.dumps({"inputs": "é" * HUGE}).encode(),
        b'{"instances": [1e999, NaN, -0, 1' + b"0" * 400 + b"]}",
    )
    return choices[random.integers(len(choices))]


def _chosen(random: np.random.Generator, inputs: Inputs) -> str:
    return sorted(inputs)[random.integers(len(inputs))]


def _wrong_dtype(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    name = _chosen(random, inputs)
    dtypes = [np.float64, np.uint8, np.complex64, np.bool_, np.float16]
    if random.integers(2):
        inputs[name] = np.full(inputs[name].shape, b"x" * int(random.integers(1, 100)), object)
        return inputs, REFUSED if inputs[name].size and name != "examples" else EITHER
    inputs[name] = np.ones(inputs[name].shape, dtypes[random.integers(len(dtypes))])
    return inputs, REFUSED


def _wrong_rank(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    name = _chosen(random, inputs)
    value = inputs[name]
    inputs[name] = value[..., np.newaxis] if random.integers(2) or not len(value) else value[0]
    return inputs, REFUSED


def _missing(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    del inputs[_chosen(random, inputs)]
    return inputs, REFUSED


def _extra(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    return inputs | {"extra" + "é" * int(random.integers(3_000)): np.ones(1)}, REFUSED


def _many_candidates(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    if "candidates" in inputs:
        rows = len(inputs["candidates"])
        inputs["candidates"] = np.resize(inputs["candidates"], (rows, MANY))
        inputs["num_candidates"] = np.full(rows, MANY, np.int32)
    return inputs, ANSWERED


def _odd_numbers(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    """NaN and infinite features, ids and numbers that cannot be."""
    for name, value in inputs.items():
        if value.dtype.kind == "f":
            inputs[name] = random.choice(
                np.array([np.nan, np.inf, -np.inf, 3e38, -1, 0], np.float32), value.shape
            )
        elif value.dtype.kind == "i":
            ends = np.iinfo(value.dtype)
            inputs[name] = random.choice(np.array([ends.min, ends.max, -1, 0, 7], value.dtype), value.shape)
    return inputs, ANSWERED


def _huge_strings(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    """As long a text as the model will take; where it takes none, that is the wrong dtype."""
    name = _chosen(random, inputs)
    is_text = inputs[name].dtype.kind in "OSU"
    inputs[name] = np.full(inputs[name].shape, random.bytes(HUGE // max(1, inputs[name].size)), object)
    return inputs, EITHER if is_text else REFUSED


def _bent_records(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    """Subgraph records with another byte, or with the length of a list that is longer than memory; others stay as they are."""
    if "examples" in inputs:
        inputs["examples"] = np.array([_bent(random, record) for record in inputs["examples"]], object)
    return inputs, ANSWERED


def _bent(random: np.random.Generator, record: bytes) -> bytes:
    bent = bytearray(record)
    tags = [place for place, byte in enumerate(record) if byte == 0x0A]
    if tags and random.integers(2):
        tag = random.choice(tags)
        bent[tag + 1 : tag + 6] = b"\xff\xff\xff\xff\x0f"
    elif bent:
        bent[random.integers(len(bent))] ^= 1 << int(random.integers(8))
    return bytes(bent)


def _empty_lists(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    name = _chosen(random, inputs)
    if inputs[name].ndim > 1:
        inputs[name] = inputs[name][:, :0]
    return inputs, EITHER


def _other_rows(random: np.random.Generator, inputs: dict[str, np.ndarray]) -> Any:
    """No row, too many, or another number than the other inputs have."""
    if random.integers(2):
        name, rows = _chosen(random, inputs), int(random.integers(4))
        inputs[name] = np.resize(inputs[name], (rows, *inputs[name].shape[1:]))
        return inputs, EITHER
    rows = int(random.choice([0, 3, 33]))
    return {name: np.resize(value, (rows, *value.shape[1:])) for name, value in inputs.items()}, EITHER


def _other_address(random: np.random.Generator, request: Any) -> tuple[bytes, frozenset[str]]:
    """A model, version, label or signature that is not there, or an output."""
    choice, codes = random.integers(6), {"NOT_FOUND"}
    if choice == 0:
        request.model_spec.name = "é" * int(random.integers(1, 5_000))
    elif choice == 1:
        request.model_spec.version.value = int(random.integers(-(2**63), 2**63 - 1))
    elif choice == 2:
        request.model_spec.version_label, codes = "nightly", {"INVALID_ARGUMENT"}
    elif choice == 3:
        request.model_spec.signature_name, codes = "absent", {"FAILED_PRECONDITION", "INVALID_ARGUMENT"}
    elif choice == 4:
        request.output_filter.append("absent")
        codes = {"INVALID_ARGUMENT"}
    else:
        request.ClearField("model_spec")
        codes = {"INVALID_ARGUMENT"}
    return request.SerializeToString(), frozenset(codes)


def _broken_tensor(random: np.random.Generator, request: Any) -> tuple[bytes, frozenset[str]]:
    """Shape and content do not fit."""
    tensor = request.inputs[_chosen(random, request.inputs)]
    choice = random.integers(4)
    if choice == 0:
        tensor.tensor_shape.dim[0].size = int(random.choice([-1, -5, 2**31, 2**62]))
    elif choice == 1:
        tensor.tensor_content, content = b"", tensor.tensor_content
        tensor.tensor_content = content + b"abc"
    elif choice == 2:
        tensor.tensor_shape.unknown_rank = True
        del tensor.tensor_shape.dim[:]
    else:
        tensor.Clear()
    return request.SerializeToString(), REFUSED


def _broken_bytes(random: np.random.Generator, request: Any) -> tuple[bytes, frozenset[str]]:
    """No message at all, or one that was cut or bent on its way."""
    data = bytearray(request.SerializeToString())
    if random.integers(2):
        return random.bytes(int(random.integers(1, 300))), NONSENSE
    for place in random.integers(0, len(data), 5):
        data[place] = random.integers(256)
    return bytes(data[: random.integers(1, len(data) + 1)]), NONSENSE | ANSWERED


_INPUT_CHANGES: dict[str, Callable[[np.random.Generator, dict[str, np.ndarray]], Any]] = {
    "wrong dtype": _wrong_dtype,
    "wrong rank": _wrong_rank,
    "missing input": _missing,
    "extra input": _extra,
    _DEAR: _many_candidates,
    "odd numbers": _odd_numbers,
    "huge strings": _huge_strings,
    "bent records": _bent_records,
    "empty lists": _empty_lists,
    "other rows": _other_rows,
}
_MESSAGE_CHANGES: dict[str, Callable[[np.random.Generator, Any], tuple[bytes, frozenset[str]]]] = {
    "other address": _other_address,
    "broken tensor": _broken_tensor,
    "broken bytes": _broken_bytes,
}
