"""How requests become batches: what TensorFlow Serving was observed to do, with calls that need no model."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from serving.batching_parameters import BatchingParameters
from serving.development_server.batch_queue import BatchQueue, join_requests
from serving.development_server.request_error import RequestError

PATIENT = BatchingParameters(
    max_batch_size=4, batch_timeout_micros=20_000_000, num_batch_threads=1, pad_variable_length_inputs=True
)
SHAPES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4)


def queue(
    execute: Callable[[list[np.ndarray]], list[np.ndarray]], parameters: BatchingParameters
) -> BatchQueue:
    return BatchQueue(execute, parameters, threading.Semaphore(parameters.num_batch_threads))


def row(*values: float) -> list[np.ndarray]:
    return [np.array([values], np.float32)]


def refused(action: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(RequestError) as caught:
        action()
    return caught.value.code


@given(SHAPES, st.data(), st.sampled_from([(), (2, 5, 12)]))
def test_padding_by_hand(shapes: list[tuple[int, ...]], data: st.DataObject, sizes: tuple[int, ...]) -> None:
    """Against a brute force that writes cell by cell."""
    tensors = [data.draw(hn.arrays(np.int64, shape)) for shape in shapes]
    parameters = BatchingParameters(12, allowed_batch_sizes=sizes, pad_variable_length_inputs=True)
    (joined,) = join_requests([[tensor] for tensor in tensors], parameters)
    rows = sum(len(tensor) for tensor in tensors)
    wanted = min((size for size in sizes if size >= rows), default=rows)
    assert joined.shape == (wanted, max(s[1] for s in shapes), max(s[2] for s in shapes))
    at = 0
    for tensor in tensors:
        for place in np.ndindex(len(tensor), *joined.shape[1:]):
            inside = all(i < n for i, n in zip(place, tensor.shape, strict=True))
            assert joined[(at + place[0], *place[1:])] == (tensor[place] if inside else tensor[0, 0, 0])
        at += len(tensor)
    for extra in joined[rows:]:
        np.testing.assert_array_equal(extra, joined[0])


def test_masks_and_texts_are_padded_by_their_first_element() -> None:
    texts, mask = np.array([[b"first", b"b"]], object), np.array([[True, False]])
    parameters = BatchingParameters(pad_variable_length_inputs=True)
    longer = [np.array([[b"x", b"y", b"z"]], object), np.array([[False] * 3])]
    joined = join_requests([[texts, mask], longer], parameters)
    assert joined[0].tolist() == [[b"first", b"b", b"first"], [b"x", b"y", b"z"]]
    assert joined[1].tolist() == [[True, False, True], [False] * 3]


def test_what_cannot_be_joined() -> None:
    padding, none = BatchingParameters(pad_variable_length_inputs=True), BatchingParameters()
    one, empty = row(1.0), [np.zeros((1, 0), np.float32)]
    assert refused(lambda: join_requests([one, row(1.0, 2.0)], none)) == grpc.StatusCode.FAILED_PRECONDITION
    assert refused(lambda: join_requests([one, empty], padding)) == grpc.StatusCode.INVALID_ARGUMENT
    assert refused(lambda: join_requests([one, [np.ones(1)]], padding)) == grpc.StatusCode.INVALID_ARGUMENT
    rows = BatchingParameters(2, allowed_batch_sizes=(2,))
    assert refused(lambda: join_requests([[np.zeros(0)]], rows)) == grpc.StatusCode.INVALID_ARGUMENT
    assert join_requests([empty, empty], padding)[0].shape == (2, 0)


def test_what_is_refused_before_it_reaches_a_batch() -> None:
    def never(arrays: list[np.ndarray]) -> list[np.ndarray]:
        raise AssertionError

    made = queue(never, PATIENT)
    for arrays in ([], [np.float32(1.0)], [np.ones(2), np.ones(3)], [np.ones(5)]):
        assert refused(lambda arrays=arrays: made.run(arrays)) == grpc.StatusCode.INVALID_ARGUMENT


def together(made: BatchQueue, requests: list[list[np.ndarray]]) -> list[Future[list[np.ndarray]]]:
    """Requests that are sent one after another and wait for one another."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [pool.submit(made.run, request) for request in requests]


def test_a_full_batch_does_not_wait_and_everyone_gets_their_rows() -> None:
    sizes: list[tuple[int, ...]] = []

    def double(arrays: list[np.ndarray]) -> list[np.ndarray]:
        sizes.append(arrays[0].shape)
        return [2 * arrays[0], arrays[0][:, 0]]

    made = queue(double, PATIENT)  # which waits for 20 s: a batch that is full must not
    requests = [row(1.0, 2.0, 3.0), row(4.0), [np.array([[5.0, 6.0], [7.0, 8.0]], np.float32)]]
    for request, future in zip(requests, together(made, requests), strict=True):
        doubled, first = future.result()
        np.testing.assert_array_equal(doubled[:, : request[0].shape[1]], 2 * request[0])
        np.testing.assert_array_equal(first, request[0][:, 0])
        assert doubled.shape[1] == 3  # as long as the longest of the batch
    assert sizes == [(4, 3)]


def test_one_bad_request_fails_its_batch_and_no_other() -> None:
    made = queue(lambda arrays: [arrays[0]], PATIENT)
    bad = [np.zeros((1, 0), np.float32)]
    for future in together(made, [row(1.0), bad, row(2.0), row(3.0)]):
        assert isinstance(future.exception(), RequestError)
    for value, future in zip(range(4), together(made, [row(float(v)) for v in range(4)]), strict=True):
        assert future.result()[0].tolist() == [[float(value)]]


def test_errors_of_the_call_and_outputs_without_rows() -> None:
    def fail(arrays: list[np.ndarray]) -> list[np.ndarray]:
        raise RequestError(grpc.StatusCode.INTERNAL, "no luck")

    for execute, expected in (
        (fail, grpc.StatusCode.INTERNAL),
        (lambda arrays: [np.float32(1.0)], grpc.StatusCode.FAILED_PRECONDITION),
        (lambda arrays: [arrays[0][:1]], grpc.StatusCode.FAILED_PRECONDITION),
    ):
        futures = together(queue(execute, PATIENT), [row(1.0), row(2.0), row(3.0), row(4.0)])
        assert {future.exception().code for future in futures} == {expected}  # type: ignore[union-attr]


def test_batches_that_wait_grow_and_more_than_allowed_are_unavailable() -> None:
    started, release = threading.Event(), threading.Event()
    sizes: list[int] = []

    def slow(arrays: list[np.ndarray]) -> list[np.ndarray]:
        sizes.append(len(arrays[0]))
        started.set()
        assert release.wait(30)
        return arrays

    parameters = BatchingParameters(max_batch_size=2, max_enqueued_batches=1, num_batch_threads=1)
    made = queue(slow, parameters)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(made.run, row(1.0))
        assert started.wait(30)  # it is computed, and no longer waits
        second = pool.submit(made.run, row(2.0))
        while made._waiting == 0:
            pass
        third = pool.submit(made.run, row(3.0))
        while made._open is not None:  # until the second batch is full
            pass
        assert refused(lambda: made.run(row(4.0))) == grpc.StatusCode.UNAVAILABLE
        release.set()
        assert [future.result()[0].tolist() for future in (first, second, third)] == [
            [[1.0]],
            [[2.0]],
            [[3.0]],
        ]
    assert sizes == [1, 2]
