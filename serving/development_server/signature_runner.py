"""One signature of a loaded SavedModel: checks a request against it and runs it."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.batching_parameters import BatchingParameters
from serving.development_server.batch_queue import BatchQueue
from serving.development_server.request_error import RequestError

PREDICT_METHODS = frozenset(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
MAX_ELEMENTS = 2**24
"""Of a tensor whose values are listed one by one: what its message leaves out is filled in."""

_NUMBERS = {
    dtype.as_datatype_enum: (dtype.as_numpy_dtype, field)
    for dtype, field in ((tf.int32, "int_val"), (tf.int64, "int64_val"), (tf.float32, "float_val"))
}


def _invalid(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def _names(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


class _Expected(NamedTuple):
    """What a signature says of an input; messages are read slowly, so once.

    Attributes:
      dtype: number of the dtype.
      sizes: the shape, -1 for any length; None for any shape.
      free_rank: how many dimensions there are, where each may have any length; else None.
    """

    dtype: int
    sizes: list[int] | None
    free_rank: int | None

    @classmethod
    def of(cls, info: Any) -> Self:
        """That of a `TensorInfo` message."""
        shape = info.tensor_shape
        sizes = [dim.size for dim in shape.dim]
        is_free = not shape.unknown_rank and all(size == -1 for size in sizes)
        return cls(info.dtype, None if shape.unknown_rank else sizes, len(sizes) if is_free else None)

    def check_shape(self, alias: str, sizes: Sequence[int]) -> None:
        """Raise INVALID_ARGUMENT unless the shape fits."""
        if self.sizes is None or len(sizes) == self.free_rank:
            return
        fits = len(self.sizes) == len(sizes) and all(
            size in (-1, length) for size, length in zip(self.sizes, sizes, strict=True)
        )
        if not fits:
            raise _invalid(
                f"input {alias} has shape {list(sizes)}, the signature wants {self.sizes} (-1: any length)"
            )


def _decoded(alias: str, proto: Any, sizes: Sequence[int]) -> np.ndarray:
    """The array of a `TensorProto`; much faster than `tf.make_ndarray`, which fills up what is left out, where nothing is.

    Raises:
      RequestError: INVALID_ARGUMENT for a shape that is none, or that a short message fills with copies of one value.
      TypeError, ValueError, IndexError: the values are not those of the shape.
    """
    if proto.tensor_shape.unknown_rank or (sizes and min(sizes) < 0):
        raise _invalid(f"tensor parsing error: {alias} has no shape")
    content, count = proto.tensor_content, math.prod(sizes)
    if not content and count > MAX_ELEMENTS:
        raise _invalid(f"tensor parsing error: {alias} has {count} elements, more than {MAX_ELEMENTS}")
    if proto.dtype in _NUMBERS:
        dtype, field = _NUMBERS[proto.dtype]
        values = np.frombuffer(content, dtype) if content else np.array(getattr(proto, field), dtype)
        if values.size == count:
            return values.reshape(sizes)
    return np.asarray(tf.make_ndarray(proto))


class SignatureRunner:
    """Runs one signature in a session; safe to call from many threads at once."""

    def __init__(
        self,
        name: str,
        signature: Any,
        session: Any,
        batching: BatchingParameters | None = None,
        slots: threading.Semaphore | None = None,
    ) -> None:
        """Prepare the call that fetches every output.

        Args:
          name: the signature's name, for messages.
          signature: `SignatureDef` message.
          session: `tf.compat.v1.Session` into whose graph the SavedModel was loaded.
          batching: how requests are joined into batches; None: not at all.
          slots: as many as batches may be computed at once, with `batching`.
        """
        self._name = name
        self._signature = signature
        self._session = session
        self._inputs = {alias: _Expected.of(signature.inputs[alias]) for alias in sorted(signature.inputs)}
        self._lock = threading.Lock()
        self._callables: dict[tuple[str, ...], Callable[..., Sequence[Any]]] = {}
        self._queue: BatchQueue | None = None
        if signature.method_name in PREDICT_METHODS:
            every = tuple(sorted(signature.outputs))
            self._callable(every)
            if batching is not None and slots is not None:
                self._queue = BatchQueue(lambda arrays: self._call(every, arrays), batching, slots)

    def run(self, inputs: Mapping[str, Any], output_filter: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Run the signature.

        Args:
          inputs: `TensorProto` by input name.
          output_filter: names of the outputs wanted; none given means all.

        Returns:
          One array per output.

        Raises:
          RequestError: INVALID_ARGUMENT for missing or extra inputs, a wrong dtype or shape, or an unknown or
            repeated output; INTERNAL for a signature that is no prediction; otherwise the code the graph
            failed with. With batching, shapes are left to the graph, and `BatchQueue.run` has errors of its own.
        """
        if self._signature.method_name not in PREDICT_METHODS:
            raise RequestError(
                grpc.StatusCode.INTERNAL,
                f"Expected prediction signature method_name to be one of {_names(set(PREDICT_METHODS))}. "
                f"Was: {self._signature.method_name}",
            )
        arrays = self._arrays(inputs)
        outputs = self._outputs(output_filter)
        # As TensorFlow Serving does it, requests for some outputs only are not batched.
        if self._queue is not None and len(outputs) == len(self._signature.outputs):
            return dict(zip(outputs, self._queue.run(arrays), strict=True))
        return dict(zip(outputs, self._call(outputs, arrays), strict=True))

    def _call(self, outputs: tuple[str, ...], arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Run the graph."""
        try:
            return [np.asarray(value) for value in self._callable(outputs)(*arrays)]
        except Exception as error:
            raise RequestError.from_exception(error) from error

    def _arrays(self, inputs: Mapping[str, Any]) -> list[np.ndarray]:
        """Check the inputs and decode them, in the order of the feeds."""
        expected, sent, defaults = self._inputs.keys(), set(inputs), self._signature.defaults
        missing, extra = expected - sent - set(defaults), sent - expected
        if missing or extra:
            raise _invalid(
                f"input size does not match signature {self._name}: {len(sent)}!={len(expected)} "
                f"len({_names(sent)}) != len({_names(expected)}). "
                f"Sent extra: {_names(extra)}. Missing but required: {_names(missing)}."
            )
        return [
            self._array(alias, inputs[alias] if alias in sent else defaults[alias]) for alias in self._inputs
        ]

    def _array(self, alias: str, proto: Any) -> np.ndarray:
        """Decode one input; raise INVALID_ARGUMENT where dtype, contents or shape are wrong."""
        expected = self._inputs[alias]
        if proto.dtype != expected.dtype:
            wanted, got = (
                tf.dtypes.as_dtype(dtype).name if dtype else "none" for dtype in (expected.dtype, proto.dtype)
            )
            raise _invalid(f"Expects input {alias} to be {wanted} but {got} is provided")
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        try:
            array = _decoded(alias, proto, sizes)
        except (TypeError, ValueError, IndexError) as error:
            raise _invalid(f"tensor parsing error: {alias} ({error})") from error
        if self._queue is None:
            expected.check_shape(alias, sizes)
        return array

    def _outputs(self, output_filter: Sequence[str]) -> tuple[str, ...]:
        """Names of the outputs to fetch."""
        for position, alias in enumerate(output_filter):
            if alias not in self._signature.outputs:
                raise _invalid(
                    f"output tensor alias not found in signature: {alias} "
                    f"Outputs expected to be in the set {_names(set(self._signature.outputs))}."
                )
            if alias in output_filter[:position]:
                raise _invalid(f"duplicate output tensor alias: {alias}")
        return tuple(sorted(output_filter or self._signature.outputs))

    def _callable(self, outputs: tuple[str, ...]) -> Callable[..., Sequence[Any]]:
        """The prepared call for these outputs.

        By the options that TensorFlow Serving prepares its calls by; `Session.make_callable` would look every input up anew in
        Python, at each call.
        """
        with self._lock:
            if outputs not in self._callables:
                options = config_pb2.CallableOptions(
                    feed=[self._signature.inputs[alias].name for alias in self._inputs],
                    fetch=[self._signature.outputs[alias].name for alias in outputs],
                )
                self._callables[outputs] = self._session._make_callable_from_options(options)
            return self._callables[outputs]
