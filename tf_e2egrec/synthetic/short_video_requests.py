"""`ShortVideoRequests`: a video log whose last day holds requests with the outcome of every candidate."""

import numpy as np
import pyarrow as pa

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.synthetic.short_video_simulation import ShortVideoSimulation, exposure_weights

_STREAM = 5  # of random numbers; the world and the other days use 1 to 4


class ShortVideoRequests(ShortVideoSimulation):
    """The video log for a simulation of policies. All days but the last are those of `ShortVideoSimulation`.

    On the last day, whoever comes makes one request, at the start of the first session. Its candidates are drawn as the feed
    draws them, by fading popularity, distinct and new to the user, and the logging policy does not choose among them: what a
    click and a stay would be is drawn for every candidate, by the functions of the other days, as if it were the first impression
    of the session. Each candidate is a row; a request's rows share user, time and position.

    A user has one request and all of its rows have one time, so that no outcome is older than another of the same user: histories
    are made of strictly older rows. Nobody comes after the last day, so that no graph which serves anybody has seen a request.
    """

    def _day(self, day: int, truth: bool) -> pa.Table:
        """As the parent's for former days; the last day's rows are sorted by (time, user, item)."""
        if day < self._config.days - 1:
            return super()._day(day, truth)
        rng = np.random.default_rng([self._config.seed, _STREAM, day])
        user, _, start = self._sessions(self._config.rows_of_day(day), day, rng)
        user, first = np.unique(user, return_index=True)
        user, start, item = self._candidates(user, start[first], rng)
        position = np.zeros(len(user), np.int32)
        probability = self._click_probability(user, item, start, position)
        columns = self._behaviours(user, item, probability, rng)
        del columns["dwell_s"]
        ids = {"user_id": user + 1, "video_id": item + self._catalogue.first_id, "time_ms": start}
        columns = {**ids, "position": position, **columns}
        if truth:
            columns |= self._truth(user, item, probability)
        order = np.lexsort((item, user, start))
        return pa.table({name: values[order] for name, values in columns.items()})

    def _candidates(
        self, user: np.ndarray, start: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """User, start and item of every candidate; users who have seen too much to fill a request are left out.

        The `request_candidates` largest of log weight + Gumbel noise are a draw without replacement: the feed's draws, repetitions
        rejected.
        """
        size = self._config.request_candidates
        assert size is not None
        seen = np.split(
            self._seen % len(self._catalogue),
            np.searchsorted(self._seen // len(self._catalogue), np.arange(1, self._config.users)),
        )
        requests, items = [], []
        for request, (one, now) in enumerate(zip(user, start, strict=True)):
            born, fading = exposure_weights(self._catalogue, int(now))
            noisy = np.log(fading * self._catalogue.popularity[born]) + rng.gumbel(size=len(born))
            noisy[np.isin(born, seen[one])] = -np.inf
            if np.isfinite(noisy).sum() >= size:
                requests.append(request)
                items.append(born[np.argpartition(-noisy, size - 1)[:size]])
        if not requests:
            raise E2EGRecError(
                f"nobody has {size} videos left that are new on the last day; raise `videos` or lower the candidates per request"
            )
        chosen = np.repeat(requests, size)
        return user[chosen], start[chosen], np.concatenate(items)
