"""`BatchQueue`: joins requests that come at the same time into one call, as TensorFlow Serving does."""

import threading
from collections.abc import Callable, Sequence

import grpc
import numpy as np

from serving.batching_parameters import BatchingParameters
from serving.development_server.request_error import RequestError

Arrays = list[np.ndarray]


class _Batch:
    """Requests that are computed together."""

    def __init__(self) -> None:
        self.requests: list[Arrays] = []
        self.rows = 0
        self.full = threading.Event()
        self.done = threading.Event()
        self.outputs: Arrays = []
        self.error: RequestError | None = None


class BatchQueue:
    """Batches of one signature.

    Whoever opens a batch waits for others, computes it, and hands the others their rows; so there are no threads of
    its own. A batch that waits to be computed goes on growing.
    """

    def __init__(
        self,
        execute: Callable[[Arrays], Arrays],
        parameters: BatchingParameters,
        slots: threading.Semaphore,
    ) -> None:
        """Wrap a call.

        Args:
          execute: computes the outputs of joined inputs.
          parameters: sizes and times.
          slots: as many as batches may be computed at once.
        """
        self._execute = execute
        self._parameters = parameters
        self._slots = slots
        self._lock = threading.Lock()
        self._open: _Batch | None = None
        self._waiting = 0

    def run(self, arrays: Arrays) -> Arrays:
        """Compute one request as a part of some batch.

        Args:
          arrays: inputs that share dimension 0.

        Returns:
          The outputs' rows of this request. Where lists were padded, they are as long as the longest of the batch.

        Raises:
          RequestError: INVALID_ARGUMENT for inputs that do not share dimension 0 or have more rows than a batch may,
            UNAVAILABLE where too many batches wait; whatever the batch failed with, for every request in it.
        """
        rows = self._rows(arrays)
        batch, first, opened = self._join(arrays, rows)
        if opened:
            batch.full.wait(self._parameters.batch_timeout_micros / 1e6)
            with self._slots:
                with self._lock:
                    self._waiting -= 1
                    if self._open is batch:
                        self._open = None
                self._compute(batch)
        batch.done.wait()
        if batch.error is not None:
            raise RequestError(batch.error.code, batch.error.message)
        return [output[first : first + rows] for output in batch.outputs]

    def _rows(self, arrays: Arrays) -> int:
        """The number of rows of a request."""
        if not arrays or not all(array.ndim for array in arrays):
            raise _invalid("Batching Run() input tensors must have at least one dimension")
        if len({len(array) for array in arrays}) > 1:
            raise _invalid("Batching Run() input tensors must have equal 0th-dimension size")
        rows, most = len(arrays[0]), self._parameters.max_batch_size
        if rows > most:
            raise _invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        return rows

    def _join(self, arrays: Arrays, rows: int) -> tuple[_Batch, int, bool]:
        """Put a request into the open batch or a new one: the batch, the request's first row, and whether it is new."""
        most = self._parameters.max_batch_size
        with self._lock:
            batch = self._open
            opened = batch is None or batch.rows + rows > most
            if batch is None or opened:
                if self._waiting >= self._parameters.max_enqueued_batches:
                    message = "The batch scheduling queue to which this task was submitted is full"
                    raise RequestError(grpc.StatusCode.UNAVAILABLE, message)
                if batch is not None:
                    batch.full.set()
                batch = self._open = _Batch()
                self._waiting += 1
            first = batch.rows
            batch.requests.append(arrays)
            batch.rows += rows
            if batch.rows == most:
                batch.full.set()
                self._open = None
        return batch, first, opened

    def _compute(self, batch: _Batch) -> None:
        """Compute a batch; its requests find the outputs or the error in it."""
        try:
            joined = join_requests(batch.requests, self._parameters)
            rows = len(joined[0])
            batch.outputs = self._execute(joined)
            if any(output.ndim == 0 or len(output) != rows for output in batch.outputs):
                raise RequestError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        except Exception as error:
            batch.error = RequestError.from_exception(error)
        finally:
            batch.done.set()


def join_requests(requests: Sequence[Arrays], parameters: BatchingParameters) -> Arrays:
    """Put the rows of requests below one another, and pad rows and lists as TensorFlow Serving does.

    Args:
      requests: for each request the inputs in one order.
      parameters: whether lists are padded, and to how many rows.

    Returns:
      The joined inputs, in the same order. Lists are padded with their own tensor's first element, and rows with the
      first row of all.

    Raises:
      RequestError: the requests do not fit together: INVALID_ARGUMENT for other ranks, an empty list among others or
        no row at all, FAILED_PRECONDITION for other lengths without padding.
    """
    joined = []
    for tensors in zip(*requests, strict=True):
        if len({tensor.ndim for tensor in tensors}) > 1:
            raise _invalid("Tensors of one input have different ranks in a batch")
        longest = tuple(int(length) for length in np.max([tensor.shape[1:] for tensor in tensors], axis=0))
        array = np.concatenate([_padded(tensor, longest, parameters) for tensor in tensors])
        missing = parameters.padded_size(len(array)) - len(array)
        if missing and not len(array):
            raise _invalid("Cannot use an empty tensor with zero rows as padding when batching")
        joined.append(np.concatenate([array, np.repeat(array[:1], missing, axis=0)]))
    return joined


def _padded(tensor: np.ndarray, longest: tuple[int, ...], parameters: BatchingParameters) -> np.ndarray:
    """Make the dimensions after the first as long as the longest of the batch."""
    if tensor.shape[1:] == longest:
        return tensor
    if not parameters.pad_variable_length_inputs:
        raise RequestError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "Tensors of one input have different shapes in a batch and padding is turned off: set "
            "pad_variable_length_inputs, or send lists of one length",
        )
    if tensor.size == 0:
        raise _invalid("Got empty tensor in batch of non-empty tensors")
    padded = np.full((len(tensor), *longest), tensor.flat[0], tensor.dtype)
    padded[tuple(slice(length) for length in tensor.shape)] = tensor
    return padded


def _invalid(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
