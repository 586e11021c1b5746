"""A sample of `python -m benchmarks.serving_fuzz`; the whole of it is marked slow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.odd_requests import odd_body, odd_request
from benchmarks.serving_fuzz import TARGETS, Fuzz, finite, fuzz, same
from tests.serving.conftest import BATCHING
from tests.serving.toy_exports import toy_export, toy_requests


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    toy_export(folder)
    return folder


def check(run: Fuzz, ratios: dict[str, float]) -> None:
    judged = {name: ratio for name, ratio in ratios.items() if name != "mb_per_10000_requests"}
    assert judged == dict.fromkeys(judged, 0.0), run.surprises
    assert set(judged) | {"mb_per_10000_requests"} == set(TARGETS)


@pytest.mark.parametrize(("batching", "requests"), [(None, 1_000), (BATCHING, 500)], ids=["alone", "batched"])
def test_a_sample(export: Path, batching: Path | None, requests: int) -> None:
    run, ratios = fuzz(export, requests, seed=1, batching=batching)
    check(run, ratios)
    assert run.counts["good"] == requests // 5
    for kind in (
        "wrong dtype",
        "wrong rank",
        "missing input",
        "10,000 candidates",
        "odd numbers",
        "broken tensor",
        "bent records",
    ):
        assert any(name.startswith(kind) for name in run.counts), kind
    assert run.counts["REST: 400"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_requests(export: Path) -> None:
    run, ratios = fuzz(export, 100_000)
    check(run, ratios)
    assert TARGETS["mb_per_10000_requests"].is_met(ratios["mb_per_10000_requests"])


def test_requests_are_a_function_of_the_seed() -> None:
    def made(seed: int, make: Callable[..., object]) -> list[object]:
        random = np.random.default_rng(seed)
        return [make(random, *one) for one in toy_requests() for _ in range(20)]

    def odd(random: np.random.Generator, signature: str, inputs: dict[str, np.ndarray]) -> object:
        return odd_request(random, "toy", signature, inputs)._replace(message=b"")

    assert made(0, odd) == made(0, odd) != made(1, odd)
    assert made(0, odd_body) == made(0, odd_body) != made(1, odd_body)


def test_what_counts_as_the_same_answer() -> None:
    value = {"score": np.array([[0.5, 0.25]], np.float32)}
    padded = {"score": np.array([[0.5, 0.25, 0.0]], np.float32)}
    near = {"score": value["score"] * np.float32(1 + 1e-6)}
    assert same(value, value, exactly=True)
    assert same(padded, value, exactly=False)
    assert same(near, value, exactly=False)
    for answer, exactly in (
        (near, True),
        (padded, True),
        ({"score": value["score"] + 0.01}, False),
        ({"score": value["score"][:, :1]}, False),
        ({"other": value["score"]}, False),
        ({"score": value["score"][0]}, False),
    ):
        assert not same(answer, value, exactly=exactly)
    assert finite(value)
    assert not finite({"score": np.array([np.nan])})
