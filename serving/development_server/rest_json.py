"""Predict requests and responses as JSON, in the row and the column format of TensorFlow Serving's REST interface."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from serving.development_server.request_error import RequestError

ROWS, COLUMNS = "instances", "inputs"
DEFAULT_SIGNATURE = "serving_default"
_BINARY = "b64"
_BINARY_SUFFIX = "_bytes"


def parse_predict(body: bytes, signature_named: Callable[[str], Any]) -> tuple[str, dict[str, Any], bool]:
    """Read the body of a predict request.

    Args:
      body: JSON object with `instances` (rows) or `inputs` (columns), and `signature_name` where it is not the default.
      signature_named: gives the `SignatureDef` message of a name.

    Returns:
      The signature's name, `TensorProto` by input name, and whether rows were sent.

    Raises:
      RequestError: INVALID_ARGUMENT where the body is not what the signature wants, or as `signature_named`.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(content, dict):
        raise _invalid("JSON Parse error: the request body is no JSON object")
    name = content.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(name, str):
        raise _invalid("'signature_name' key must be a string value.")
    given = [key for key in (ROWS, COLUMNS) if key in content]
    if len(given) != 1:
        raise _invalid(f"the request needs either '{ROWS}' or '{COLUMNS}', and has {given or 'none of them'}")
    inputs = signature_named(name).inputs
    by_rows = given[0] == ROWS
    values = _from_rows(content[ROWS], inputs) if by_rows else _from_columns(content[COLUMNS], inputs)
    return name, {alias: _tensor(alias, values[alias], inputs[alias]) for alias in inputs}, by_rows


def dump_predict(outputs: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
    """Write the body of a predict response.

    Args:
      outputs: arrays by output name.
      by_rows: as the request was: `predictions`, one value or object per row, or `outputs`, one value or an object.

    Raises:
      RequestError: INVALID_ARGUMENT where rows are wanted and the outputs do not share dimension 0.
    """
    plain = {alias: _plain(alias, array) for alias, array in outputs.items()}
    if not by_rows:
        content: Any = next(iter(plain.values())) if len(plain) == 1 else plain
        return json.dumps({"outputs": content}).encode()
    if any(array.ndim == 0 for array in outputs.values()) or len({len(one) for one in outputs.values()}) > 1:
        raise _invalid(
            f"the outputs have no batch dimension in common; use '{COLUMNS}' in the request for the column format"
        )
    rows: list[Any] = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    if len(plain) == 1:
        rows = next(iter(plain.values()))
    return json.dumps({"predictions": rows}).encode()


def _from_rows(instances: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Nested lists by input, of rows; a row is an object, or the value itself where there is one input."""
    if not isinstance(instances, list) or not instances:
        raise _invalid(f"'{ROWS}' must be a list of at least one row")
    columns: dict[str, list[Any]] = {alias: [] for alias in inputs}
    for place, instance in enumerate(instances):
        where = f"row {place} of '{ROWS}'"
        for alias, value in _named(instance, inputs, where).items():
            columns[alias].append(value)
    return dict(columns)


def _from_columns(content: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return _named(content, inputs, f"'{COLUMNS}'")


def _named(content: Any, inputs: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Value by input name."""
    if not isinstance(content, dict) or set(content) == {_BINARY}:
        if len(inputs) != 1:
            raise _invalid(f"{where} must be an object with a value for each of {', '.join(sorted(inputs))}")
        return {next(iter(inputs)): content}
    missing, extra = sorted(set(inputs) - set(content)), sorted(set(content) - set(inputs))
    if missing or extra:
        raise _invalid(
            f"{where}: missing inputs: {missing or 'none'}, unknown ones: {_short(extra) if extra else 'none'}"
        )
    return content


def _tensor(alias: str, value: Any, info: Any) -> Any:
    """A nested list as a `TensorProto` of the signature's dtype."""
    dtype = tf.dtypes.as_dtype(info.dtype)
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        if not inner:
            break
        inner = inner[0]
    convert = _converter(alias, dtype)
    leaves: list[Any] = []
    _flatten(alias, value, shape, leaves)
    try:
        flat = np.array([convert(leaf) for leaf in leaves], dtype=dtype.as_numpy_dtype)
    except OverflowError as error:
        raise _invalid(f"input {alias}: a number does not fit into {dtype.name}") from error
    return tf.make_tensor_proto(flat.reshape(shape), dtype=dtype)


def _flatten(alias: str, value: Any, shape: list[int], leaves: list[Any]) -> None:
    """Collect the leaves of a nested list, all of whose parts must have one shape."""
    if not shape:
        if isinstance(value, list):
            raise _invalid(f"input {alias}: a list where others have a value")
        leaves.append(value)
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise _invalid(f"input {alias}: its lists have different lengths or depths")
    for part in value:
        _flatten(alias, part, shape[1:], leaves)


def _converter(alias: str, dtype: Any) -> Callable[[Any], Any]:
    """What makes a JSON value one of a dtype."""

    def convert(value: Any) -> Any:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if dtype == tf.string and isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if dtype == tf.string and isinstance(value, dict) and set(value) == {_BINARY}:
            return _decoded(alias, value[_BINARY])
        if (
            (dtype.is_bool and isinstance(value, bool))
            or (dtype.is_integer and is_whole)
            or (dtype.is_floating and (is_whole or isinstance(value, float)))
        ):
            return value
        raise _invalid(f"JSON Value: {_short(value)} of input {alias} is not of expected type: {dtype.name}")

    return convert


def _decoded(alias: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _invalid(f"input {alias}: unable to decode its base64 text") from error


def _plain(alias: str, array: np.ndarray) -> Any:
    """An array as nested lists."""
    if array.dtype == object or array.dtype.kind == "S":
        binary = alias.endswith(_BINARY_SUFFIX)
        texts = [_text(one, binary) for one in array.ravel()]
        made = np.empty(len(texts), object)
        made[:] = texts
        return made.reshape(array.shape).tolist()
    if array.dtype in (np.float16, np.float32):
        return array.astype("U").astype(np.float64).tolist()  # the shortest decimals that mean the same
    return array.tolist()


def _text(value: bytes, binary: bool) -> Any:
    if binary:
        return {_BINARY: base64.b64encode(value).decode("ascii")}
    return value.decode("utf-8", "replace")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:100] + " ..."


def _invalid(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
