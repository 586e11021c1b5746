"""Every signature of an export, on the development server and on TensorFlow Serving, alone and in batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.client.ranking_client import RankingClient
from serving.server_command import start_server
from tests.serving.conftest import Setup, skip_without_binary
from tests.serving.servers import code
from tests.serving.toy_exports import LISTS, toy_export, toy_requests
from tf_e2egrec.errors import E2EGRecError

MODEL = "toy"
# Lone requests wait long enough to meet others, and batches are padded with rows.
BATCHING = """
max_batch_size { value: 4 } allowed_batch_sizes: [2, 4] batch_timeout_micros { value: 60000 }
max_enqueued_batches { value: 100 } num_batch_threads { value: 2 } pad_variable_length_inputs: true
"""
SETUPS = [Setup(kind, batched) for kind in ("development", "tensorflow_serving") for batched in (False, True)]
Inputs = dict[str, np.ndarray]


class Served(NamedTuple):
    """A server of one export, and the module that was exported."""

    client: RankingClient
    module: Any
    is_batched: bool


@pytest.fixture(scope="session", params=["hybrid", "table"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Of a wider scope than the servers, so that each is made once for all of them."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, toy_export(folder, request.param)


@pytest.fixture(scope="module", params=SETUPS, ids=lambda one: f"{one.kind}{'-batched' * one.is_batched}")
def served(
    request: pytest.FixtureRequest, exported: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    setup: Setup = request.param
    skip_without_binary(setup.kind)
    file = tmp_path_factory.mktemp("config") / "batching.txt"
    file.write_text(BATCHING)
    with (
        start_server(
            exported[0],
            MODEL,
            port=0,
            kind=setup.kind,
            batching_parameters_file=file if setup.is_batched else None,
        ) as server,
        RankingClient(server.target, MODEL, timeout=60) as client,
    ):
        yield Served(client, exported[1], setup.is_batched)


def expected(module: Any, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
    """What the model says in Python."""
    body = {"rank": module.rank, "rank_fresh": module.rank_fresh, "embed": module.embed}.get(signature)
    answer = body(inputs) if body else module.score_examples(tf.constant(inputs["examples"]))
    return {name: np.asarray(value) for name, value in answer.items()}


def assert_same(answer: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """The answer, cut to what was asked for; 0 beyond."""
    assert set(answer) == set(wanted)
    for name, values in wanted.items():
        cut = answer[name][tuple(slice(length) for length in values.shape)]
        np.testing.assert_allclose(cut, values, rtol=1e-5, atol=1e-6, err_msg=name)


def request_of(place: int) -> tuple[str, Inputs]:
    signature, inputs = toy_requests()[place]
    return signature, dict(inputs)


def test_every_signature_answers_as_the_model(served: Served) -> None:
    seen = set()
    for signature, inputs in toy_requests():
        assert_same(served.client.predict(inputs, signature), expected(served.module, signature, inputs))
        seen.add(signature)
    assert seen == {"rank", "rank_fresh", "embed", "serving_default"}


def test_lists_of_mixed_lengths_share_batches(served: Served) -> None:
    """Twelve clients at a time, with lists of 2 to 5 candidates and 1 to 6 recent items, and unknown ids among them."""
    requests = toy_requests()
    wanted = [expected(served.module, *one) for one in requests]
    widths = set()

    def ask(number: int) -> None:
        place = number % len(requests)
        signature, inputs = requests[place]
        answer = served.client.predict(inputs, signature)
        assert_same(answer, wanted[place])
        if signature == "rank" and len(inputs["user_id"]) == 1:
            beyond = answer["score"][:, inputs["candidates"].shape[1] :]
            np.testing.assert_array_equal(beyond, 0)  # padding is no candidate
            widths.add(answer["score"].shape[1] - inputs["candidates"].shape[1])

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(6 * len(requests))))
    assert (max(widths) > 0) == served.is_batched


def test_nothing_to_rank_among_good_requests(served: Served) -> None:
    """A row without candidates is answered by zeros; a list without columns is a bad request, which may fail its batch."""
    signature, good = request_of(0)
    wanted = expected(served.module, signature, good)
    none = good | {"num_candidates": np.zeros(1, np.int32)}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: served.client.predict(one, signature), [good, none, good, good]))
    np.testing.assert_array_equal(answers[1]["score"], 0)
    for answer in (answers[0], *answers[2:]):
        assert_same(answer, wanted)
    empty = none | {"candidates": np.zeros((1, 0), np.int64)}

    def ask(inputs: Inputs) -> dict[str, np.ndarray] | grpc.StatusCode:
        try:
            return served.client.predict(inputs, signature)
        except E2EGRecError as error:
            return code(error)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(ask, [good, empty, good, good]))
    for outcome in (outcomes[0], *outcomes[2:]):
        if isinstance(outcome, dict):
            assert_same(outcome, wanted)
        else:
            assert served.is_batched
            assert outcome == grpc.StatusCode.INVALID_ARGUMENT
    assert_same(served.client.predict(good, signature), wanted)


def test_wrong_ranks_are_refused_for_every_input(served: Served) -> None:
    for place in (0, 4, 7, 8):
        signature, good = request_of(place)
        for name, value in good.items():
            for wrong in (value[..., np.newaxis], value[0]):
                with pytest.raises(E2EGRecError) as caught:
                    served.client.predict(good | {name: wrong}, signature)
                assert code(caught.value) == grpc.StatusCode.INVALID_ARGUMENT
        assert_same(served.client.predict(good, signature), expected(served.module, signature, good))


def test_wrong_dtypes_and_missing_inputs_are_said(served: Served) -> None:
    signature, good = request_of(0)
    for name in good:
        missing = {other: value for other, value in good.items() if other != name}
        text = good | {name: np.full(good[name].shape, b"x" * 100_000, object)}
        for inputs in (missing, text):
            with pytest.raises(E2EGRecError, match=name) as caught:
                served.client.predict(inputs, signature)
            assert code(caught.value) == grpc.StatusCode.INVALID_ARGUMENT


def test_ten_thousand_candidates_are_ranked(served: Served) -> None:
    signature, good = request_of(0)
    many = np.resize(LISTS[0], (1, 10_000))
    answer = served.client.predict(
        good | {"candidates": many, "num_candidates": np.full(1, 10_000, np.int32)}, signature
    )
    few = served.client.predict(good, signature)
    for name, values in few.items():
        np.testing.assert_allclose(answer[name], np.resize(values[:, :5], (1, 10_000)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1.0])
def test_odd_features_are_answered_with_numbers(served: Served, value: float) -> None:
    """NaN and what is infinite count as missing."""
    for place in (0, 4):
        signature, inputs = request_of(place)
        for name, array in inputs.items():
            if array.dtype == np.float32:
                inputs[name] = np.full_like(array, value)
        for values in served.client.predict(inputs, signature).values():
            assert np.isfinite(values).all()


def test_odd_ids_and_numbers_are_answered_with_numbers(served: Served) -> None:
    for place in (0, 4, 7):
        for end in ("min", "max"):
            signature, inputs = request_of(place)
            for name, array in inputs.items():
                if array.dtype.kind == "i":
                    inputs[name] = np.full_like(array, getattr(np.iinfo(array.dtype), end))
            for values in served.client.predict(inputs, signature).values():
                assert np.isfinite(values).all()


def test_examples_that_are_none(served: Served) -> None:
    signature, good = request_of(8)
    whole = good["examples"][0]
    for text in (b"abc", b"", whole[: len(whole) // 2], b"x" * 100_000):
        with pytest.raises(E2EGRecError) as caught:
            served.client.predict({"examples": np.array([text], object)}, signature)
        assert code(caught.value) == grpc.StatusCode.INVALID_ARGUMENT
