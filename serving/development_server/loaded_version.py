"""One version of a SavedModel in memory."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.framework.ops import dismantle_graph
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.batching_parameters import PER_MODEL_FILE, BatchingParameters
from serving.development_server.request_error import RequestError
from serving.development_server.signature_runner import SignatureRunner
from serving.warmup import MAX_WARMUP_RECORDS, WARMUP_FILE
from tf_e2egrec.errors import E2EGRecError

DEFAULT_SIGNATURE = "serving_default"
_PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


@contextmanager
def _without_loader_notice() -> Iterator[None]:
    """Keep TensorFlow from logging that the version 1 loader is deprecated: it is chosen on purpose."""

    def keep(record: logging.LogRecord) -> bool:
        return "loader_impl" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def _refuse_python_ops(meta_graph: Any, directory: Path) -> None:
    """Raise where the graph calls back into Python: it would run here and nowhere else."""
    functions = meta_graph.graph_def.library.function
    nodes = [node for function in functions for node in function.node_def] + list(meta_graph.graph_def.node)
    found = sorted({node.op for node in nodes} & _PYTHON_OPS)
    if found:
        raise RequestError(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{directory} uses {', '.join(found)} (tf.py_function or tf.numpy_function), "
            "which TensorFlow Serving cannot run: write that step with TensorFlow operations",
        )


class LoadedVersion:
    """A SavedModel in a TensorFlow session, warmed up and ready to answer.

    The SavedModel is loaded with `tf.compat.v1.saved_model.load` into a `Session` rather than
    `tf.saved_model.load`. The session reads the graph and the signatures alone, as the C++ loader of
    TensorFlow Serving does, whereas `tf.saved_model.load` rebuilds Python objects, with classes registered in
    this process where it finds any: a model could pass here that fails there. `Session` calls are
    thread-safe, and release the interpreter lock while the graph runs.
    """

    def __init__(
        self,
        directory: Path,
        version: int,
        batching: BatchingParameters | None = None,
        *,
        batching_per_model: bool = False,
    ) -> None:
        """Load the SavedModel and replay its warm-up records.

        Args:
          directory: the version's directory, holding `saved_model.pb`.
          version: its version number.
          batching: how requests are joined into batches; None: not at all.
          batching_per_model: take the parameters from the version's own file, and join nothing where it has none; of
            `batching`, only the threads count then.

        Raises:
          RequestError: the files are missing or broken, or a warm-up record fails.
        """
        if not any((directory / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise RequestError(
                grpc.StatusCode.NOT_FOUND, f"Could not find SavedModel .pb or .pbtxt at {directory}"
            )
        self.version = version
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        threads = batching and batching.num_batch_threads
        if batching_per_model:
            own = directory / PER_MODEL_FILE
            try:
                batching = BatchingParameters.read(own) if own.exists() else None
            except E2EGRecError as error:
                raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        slots = None if batching is None else threading.Semaphore(threads or batching.num_batch_threads)
        config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
        config.gpu_options.allow_growth = True
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self._session.graph.as_default(), _without_loader_notice():
                meta_graph = tf.compat.v1.saved_model.load(
                    self._session, [tf.saved_model.SERVING], str(directory)
                )
            _refuse_python_ops(meta_graph, directory)
            self.signatures = dict(meta_graph.signature_def)
            self._runners = {
                name: SignatureRunner(name, signature, self._session, batching, slots)
                for name, signature in self.signatures.items()
            }
            self._warm_up(directory / WARMUP_FILE)
        except Exception as error:
            self._free()
            raise RequestError.from_exception(error) from error

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answer a request; its model name and version are not looked at.

        Args:
          request: `PredictRequest`; an empty signature name means "serving_default".

        Returns:
          `PredictResponse`, the version filled in.

        Raises:
          RequestError: FAILED_PRECONDITION for an unknown signature (that is TensorFlow Serving's code for
            it), otherwise as `SignatureRunner.run`.
        """
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        if name not in self._runners:
            known = ", ".join(sorted(key for key in self._runners if not key.startswith("__"))) or "none"
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{name}" not found. The model has: {known}.',
            )
        outputs = self._runners[name].run(request.inputs, list(request.output_filter))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = self.version
        for alias, array in outputs.items():
            response.outputs[alias].CopyFrom(tf.make_tensor_proto(array))
        return response

    def acquire(self) -> bool:
        """Keep the version from being closed until `release`.

        Returns:
          False where it is retired already; then there is nothing to release.
        """
        with self._lock:
            if self._retired:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Undo one `acquire`; the last one closes a retired version."""
        with self._lock:
            self._users -= 1
            close = self._retired and self._users == 0
        if close:
            self._free()

    def retire(self) -> None:
        """Take no new requests, and free the memory when the last running one is done."""
        with self._lock:
            close = not self._retired and self._users == 0
            self._retired = True
        if close:
            self._free()

    def _free(self) -> None:
        """Close the session, and take its graph apart: its operations refer to one another, so that it would stay until the garbage
        collector runs, which is seldom and holds up requests.
        """
        self._session.close()
        dismantle_graph(self._session.graph)

    def _warm_up(self, path: Path) -> None:
        """Replay the warm-up records; the first that fails fails the version."""
        if not path.exists():
            return
        records = tf.data.TFRecordDataset(str(path)).take(MAX_WARMUP_RECORDS + 1).as_numpy_iterator()
        try:
            for count, record in enumerate(records, start=1):
                if count > MAX_WARMUP_RECORDS:
                    message = f"Number of warmup records exceeds the maximum ({MAX_WARMUP_RECORDS}) at {path}"
                    raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
                self._replay(record, count, path)
        except tf.errors.DataLossError as error:
            message = f"{path} is no uncompressed TFRecord file: {error.message}"
            raise RequestError(grpc.StatusCode.DATA_LOSS, message) from error

    def _replay(self, record: bytes, count: int, path: Path) -> None:
        """Replay one record."""
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            message = f"warm-up record {count} of {path} is no PredictionLog"
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message) from error
        if log.WhichOneof("log_type") != "predict_log":
            message = f"warm-up record {count} of {path} is no predict_log, the only kind this server replays"
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, message)
        try:
            self.predict(log.predict_log.request)
        except RequestError as error:
            raise RequestError(
                error.code, f"warm-up record {count} of {path} failed: {error.message}"
            ) from error
