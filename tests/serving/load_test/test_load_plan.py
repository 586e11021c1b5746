"""When requests of a load test are sent."""

import numpy as np
import pytest
from scipy import stats

from serving.load_test.load_plan import LoadPlan
from tf_e2egrec.errors import E2EGRecError


def test_uniform_requests_are_evenly_spaced() -> None:
    np.testing.assert_allclose(LoadPlan(4, 1.5, arrivals="uniform").send_times(), np.arange(6) / 4)
    assert LoadPlan(0.1, 1, arrivals="uniform").send_times().tolist() == [0.0]


def test_poisson_requests_come_as_a_poisson_process_does() -> None:
    times = LoadPlan(1000, 20, seed=3).send_times()
    assert len(times) == 20_000
    assert (np.diff(times) >= 0).all()
    assert 0 <= times[0] <= times[-1] < 20
    # Gaps are exponential; counts of disjoint seconds are as spread as Poisson's.
    assert stats.kstest(np.diff(times), stats.expon(scale=1e-3).cdf).pvalue > 0.01
    counts = np.histogram(times, bins=200, range=(0, 20))[0]
    assert 0.8 < counts.var() / counts.mean() < 1.2


def test_a_seed_gives_the_same_times() -> None:
    one, again, other = (LoadPlan(50, 2, seed=seed).send_times() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rate": 0}, "positive rate, got 0"),
        ({"seconds": -1}, "positive seconds, got -1"),
        ({"rate": float("inf")}, "positive rate, got inf"),
        ({"rate": float("nan")}, "positive rate, got nan"),
        ({"rate": 1e9}, "more than 10,000,000; lower one of them"),
        ({"timeout": 0}, "positive timeout"),
        ({"connections": 0}, "positive connections"),
    ],
)
def test_mistakes(options: dict[str, float], says: str) -> None:
    with pytest.raises(E2EGRecError, match=says):
        LoadPlan(**({"rate": 1, "seconds": 1} | options))  # type: ignore[arg-type]
