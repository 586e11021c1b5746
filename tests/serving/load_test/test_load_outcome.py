"""The figures of a load test."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.load_test.load_outcome import LoadOutcome


def outcome(latency: Any, codes: list[str] | None = None, lag: float = 0.0) -> LoadOutcome:
    latency = np.asarray(latency, float)
    scheduled = np.arange(len(latency)) / 10
    code = np.array(codes or ["OK"] * len(latency))
    return LoadOutcome(scheduled, scheduled + lag, scheduled + latency, code, np.where(code == "OK", 3, -1))


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=300))
def test_percentiles_are_latencies_that_so_many_stay_within(latency: list[float]) -> None:
    made = outcome(latency)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)):
        value = made.percentiles()[name]
        measured = made.latency
        assert value in measured
        assert (measured <= value).mean() >= share * (1 - 1 / len(measured))
        assert (measured < value).mean() <= share
    assert made.percentiles()["max"] == made.latency.max()


def test_failed_requests_are_counted_and_kept_out_of_the_latency() -> None:
    made = outcome([0.1, 0.2, 9, 9, 9], ["OK", "OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAVAILABLE"])
    assert made.percentiles()["max"] == pytest.approx(0.2)
    assert made.error_rate == pytest.approx(0.6)
    assert made.errors == {"UNAVAILABLE": 2, "DEADLINE_EXCEEDED": 1}
    assert made.versions == {"3": 2}
    assert made.achieved_rate == pytest.approx(2 / 0.3)


def test_latency_counts_from_when_a_request_was_due() -> None:
    made = outcome([0.5, 0.5], lag=0.4)
    assert made.percentiles()["p50"] == pytest.approx(0.5)
    assert made.send_lag()["max"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("codes", "max_p99", "max_error_rate", "says"),
    [
        (["OK"] * 4, None, None, []),
        (["OK"] * 4, 0.5, None, []),
        (["OK"] * 4, 0.2, None, ["p99 is 400.0 ms, more than 200 ms"]),
        (["OK", "OK", "OK", "INTERNAL"], None, None, []),
        (["OK", "OK", "OK", "INTERNAL"], 0.5, None, ["25.00% of the requests failed, more than 0.00%"]),
        (["OK", "OK", "OK", "INTERNAL"], 0.5, 0.25, []),
        (["OK", "OK", "OK", "INTERNAL"], 0.2, 0.1, ["p99 is 300.0 ms", "25.00%"]),
        (["INTERNAL"] * 4, None, None, ["no request was answered"]),
        (["INTERNAL"] * 4, 1.0, None, ["no request was answered", "100.00%"]),
    ],
)
def test_bounds(
    codes: list[str], max_p99: float | None, max_error_rate: float | None, says: list[str]
) -> None:
    said = outcome([0.1, 0.2, 0.3, 0.4], codes).violations(max_p99, max_error_rate)
    assert len(said) == len(says)
    assert all(one.startswith(start) for one, start in zip(said, says, strict=True))


def test_nothing_answered() -> None:
    made = outcome([1.0], ["UNAVAILABLE"])
    assert made.achieved_rate == 0
    assert all(np.isnan(value) for value in made.percentiles().values())
