"""`BatchingParameters`: how requests are joined into batches, read from TensorFlow Serving's file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from tf_e2egrec.errors import E2EGRecError

PER_MODEL_FILE = "batching_params.pbtxt"
"""In a version's directory: its own parameters, read where `--enable_per_model_batching_parameters` is given."""


@dataclass(frozen=True)
class BatchingParameters:
    """What the development server uses of a batching parameters file; the defaults are TensorFlow Serving's.

    Attributes:
      max_batch_size: rows of a batch; a larger request is refused.
      batch_timeout_micros: how long the first request of a batch waits for others, microseconds.
      max_enqueued_batches: batches of a signature that may wait; a request beyond is answered UNAVAILABLE.
      num_batch_threads: batches of a version computed at once.
      allowed_batch_sizes: a batch is padded with rows up to the next of these, ascending; none: to nothing.
      pad_variable_length_inputs: join lists of different lengths by padding them with their tensor's first element.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    def padded_size(self, rows: int) -> int:
        """How many rows a batch of so many is padded to."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    @classmethod
    def read(cls, path: str | Path) -> "BatchingParameters":
        """Read the file of `--batching_parameters_file`: a `BatchingParameters` message as text.

        Args:
          path: the file.

        Raises:
          E2EGRecError: there is no such file, it is no such message, its numbers make no sense, or it asks for the
            splitting of requests, which the development server does not do.
        """
        try:
            message = text_format.Parse(Path(path).read_text(encoding="utf-8"), _MESSAGE())
        except OSError as error:
            raise E2EGRecError(
                f"{path}: the batching parameters cannot be read ({error.strerror})"
            ) from error
        except (UnicodeDecodeError, text_format.ParseError) as error:
            raise E2EGRecError(
                f"{path}: no batching parameters ({error}): write them like serving/model_server/batching_parameters.txt"
            ) from error
        given = {name: getattr(message, name).value for name in _NUMBERS if message.HasField(name)}
        parameters = cls(
            **given,
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
        if message.enable_large_batch_splitting.value:
            raise E2EGRecError(
                f"{path}: the development server does not split requests: remove enable_large_batch_splitting"
            )
        parameters._check(path)
        return parameters

    def _check(self, path: str | Path) -> None:
        """Raise where TensorFlow Serving would not start."""
        sizes = self.allowed_batch_sizes
        if min(self.max_batch_size, self.max_enqueued_batches, self.num_batch_threads, *sizes) < 1:
            raise E2EGRecError(f"{path}: sizes, threads and batches are numbers of at least 1")
        if self.batch_timeout_micros < 0:
            raise E2EGRecError(f"{path}: batch_timeout_micros is negative")
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            raise E2EGRecError(
                f"{path}: allowed_batch_sizes must ascend and end with max_batch_size, {self.max_batch_size}"
            )


_NUMBERS = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")


def _message_class() -> Any:
    """The message of the file, which the tensorflow-serving-api package lacks; in text, numbers of fields mean nothing."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto", package="serving", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )  # fmt: skip
    message = file.message_type.add(name="BatchingParameters")
    wrapped = dict.fromkeys((*_NUMBERS, "max_execution_batch_size"), "Int64Value")
    wrapped |= {"thread_pool_name": "StringValue", "enable_large_batch_splitting": "BoolValue"}
    for name, kind in wrapped.items():
        message.field.add(name=name, type=field.TYPE_MESSAGE, type_name=f".google.protobuf.{kind}")
    message.field.add(name="allowed_batch_sizes", type=field.TYPE_INT64, label=field.LABEL_REPEATED)
    message.field.add(name="pad_variable_length_inputs", type=field.TYPE_BOOL)
    for number, made in enumerate(message.field, start=1):
        made.number = number
        made.label = made.label or field.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("serving.BatchingParameters"))


_MESSAGE = _message_class()
