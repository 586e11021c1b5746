"""`LoadOutcome`: what became of every request of a load test."""

import dataclasses

import numpy as np

OK = "OK"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


@dataclasses.dataclass(frozen=True, eq=False)
class LoadOutcome:
    """One entry per request, in the order of their times; all arrays have the shape [n].

    Attributes:
      scheduled: float64, when the request was to be sent, seconds after the start.
      sent: float64, when it was sent.
      finished: float64, when its answer or error came.
      code: str, the gRPC status.
      version: int64, of the model that answered; -1 where none did.
    """

    scheduled: np.ndarray
    sent: np.ndarray
    finished: np.ndarray
    code: np.ndarray
    version: np.ndarray

    @property
    def answered(self) -> np.ndarray:
        """bool [n]."""
        return self.code == OK

    @property
    def latency(self) -> np.ndarray:
        """float64 [n], seconds from when the request was to be sent: waiting for a late sender counts."""
        return self.finished - self.scheduled

    @property
    def error_rate(self) -> float:
        """Share of requests that were not answered."""
        return 1.0 - float(self.answered.mean())

    @property
    def achieved_rate(self) -> float:
        """Answers per second, from the start to the last of them; 0 without any."""
        answered = self.answered
        return float(answered.sum() / self.finished[answered].max()) if answered.any() else 0.0

    @property
    def errors(self) -> dict[str, int]:
        """Requests by status other than OK, the most frequent first."""
        return _counts(self.code[~self.answered])

    @property
    def versions(self) -> dict[str, int]:
        """Answers by version."""
        return _counts(self.version[self.answered])

    def percentiles(self) -> dict[str, float]:
        """Latency of answered requests, seconds; each is a latency that occurred. NaN where nothing was answered."""
        return _quantiles(self.latency[self.answered])

    def send_lag(self) -> dict[str, float]:
        """How late requests were sent, seconds: where that is much of the latency, the tester is what is slow."""
        return _quantiles(self.sent - self.scheduled)

    def violations(self, max_p99: float | None, max_error_rate: float | None) -> list[str]:
        """What is worse than wanted, a sentence each.

        Args:
          max_p99: seconds; None for any.
          max_error_rate: share of all requests; None for any, but none at all with `max_p99`, because requests that fail
            soon leave the others fast.
        """
        said = []
        if not self.answered.any():
            said.append("no request was answered")
        elif max_p99 is not None and self.percentiles()["p99"] > max_p99:
            said.append(f"p99 is {1000 * self.percentiles()['p99']:.1f} ms, more than {1000 * max_p99:g} ms")
        bound = 0.0 if max_error_rate is None and max_p99 is not None else max_error_rate
        if bound is not None and self.error_rate > bound:
            said.append(f"{self.error_rate:.2%} of the requests failed, more than {bound:.2%}")
        return said


def _counts(values: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return {str(names[place]): int(counts[place]) for place in np.argsort(-counts, kind="stable")}


def _quantiles(seconds: np.ndarray) -> dict[str, float]:
    if len(seconds) == 0:
        return dict.fromkeys(QUANTILES, float("nan"))
    found = np.quantile(seconds, list(QUANTILES.values()), method="higher")
    return {name: float(value) for name, value in zip(QUANTILES, found, strict=True)}
