"""`ShortVideoSimulation`: what is shown to whom, and what they do with it, one day at a time."""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig
from tf_e2egrec.synthetic.short_video_world import DAY_MS, Catalogue, World

_HOUR_MS = 3_600_000
_CANDIDATES = 12  # per impression, for the logging policy to choose from
_POLICY_STRENGTH = 0.8  # how much of the true affinity the policy has learnt
_POLICY_NOISE = 0.7
_EXPLORATION = 0.15  # share of impressions that show any recent item
_FADE_DAYS = 4.0
_FADE_FLOOR = 0.01
_SESSION_LENGTH = 8.0
_LONGEST_SESSION = 40
_ATTEMPTS = 4  # to find something the user has not seen; the last one explores
_SPARE = 1.1  # drawn per row needed; what is still a repetition is left out
_CLICK_RATE = 0.18  # on the first day

# Click logit.
_AFFINITY, _QUALITY, _POSITION, _LENGTH, _EVENING = 1.35, 0.4, 0.3, 0.15, 0.15
# log(stay / duration) of clicked videos.
_STAY_BASE, _STAY_AFFINITY, _STAY_QUALITY, _STAY_LENGTH, _STAY_NOISE = -1.0, 0.35, 0.15, 0.2, 0.5
_LONG_VIEW = 0.7  # share of the duration
_STAY_MAXIMUM = 2.0  # loops, in durations
_NO_GLANCE, _GLANCE_NOISE = 0.6, 0.5  # what is not clicked: share without a stay, deviation of log(stay) else


class ShortVideoSimulation:
    """The log of one domain.

    Sessions start through the day, before 23:00 UTC, so that each day holds whole sessions. For each
    impression a logging policy draws candidates by fading popularity and shows the one that looks best to it;
    some impressions explore. A user sees an item once; only a user who has seen nearly everything sees
    something again.
    """

    def __init__(self, config: ShortVideoConfig, world: World, domain: str) -> None:
        """Args: the configuration, the world it draws from, and `video` or `goods`."""
        self._config = config
        self._world = world
        self._domain = domain
        self._catalogue = world.catalogues[domain]
        self._share = 1.0 if domain == "video" else 1.0 / 3.0
        self._stream = config.domains.index(domain)
        self._seen = np.zeros(0, np.int64)
        self._intercept: float | None = None

    def days(self, truth: bool = False) -> Iterator[pa.Table]:
        """The log's days in order; tables sorted by (time, user).

        Args:
          truth: add what no real log has: the columns `click_probability` and, of videos, `expected_stay_s`.
        """
        self._seen, self._intercept = np.zeros(0, np.int64), None
        for day in range(self._config.days):
            yield self._day(day, truth)

    def _day(self, day: int, truth: bool) -> pa.Table:
        rng = np.random.default_rng([self._config.seed, 4, self._stream, day])
        rows = self._config.rows_of_day(day, self._share)
        user, session, start = self._sessions(rows, day, rng)
        item, new = self._feed(user, start, rng)
        kept = self._kept(user, item, new, rows, rng)
        user, session, start, item = user[kept], session[kept], start[kept], item[kept]
        first = np.searchsorted(session, session)
        position = np.arange(len(session)) - first
        probability = self._click_probability(user, item, start, position)
        columns = self._behaviours(user, item, probability, rng)
        time = self._times(columns.pop("dwell_s"), first, start, day, rng)
        ids = {"user_id": user + 1, f"{self._domain}_id": item + self._catalogue.first_id, "time_ms": time}
        columns = {**ids, "position": position.astype(np.int32), **columns}
        if truth:
            columns |= self._truth(user, item, probability)
        order = np.lexsort((user, time))
        return pa.table({name: values[order] for name, values in columns.items()})

    def _sessions(
        self, rows: int, day: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """User, session number and session start (ms), each int64 per impression, sorted by start."""
        wanted = int(rows * _SPARE) + _LONGEST_SESSION
        count = int(wanted / _SESSION_LENGTH * 1.2) + 20
        length = np.minimum(rng.geometric(1 / _SESSION_LENGTH, count), _LONGEST_SESSION)
        count = int(np.searchsorted(np.cumsum(length), wanted)) + 1
        length = length[:count]
        user = np.searchsorted(np.cumsum(self._world.users.activity), rng.random(len(length)) * 0.999_999_999)
        hours = np.arange(23)
        busy = 1.0 - 0.8 * np.cos(2 * np.pi * (hours - 3) / 24)
        hour = rng.choice(hours, len(length), p=busy / busy.sum())
        start = np.sort(((hour + rng.random(len(length))) * _HOUR_MS).astype(np.int64))
        start += self._config.start_ms + day * DAY_MS
        return np.repeat(user, length), np.repeat(np.arange(len(length)), length), np.repeat(start, length)

    def _feed(
        self, user: np.ndarray, start: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The item of each impression, and whether it is new to the user; what is not is drawn again."""
        hour = start // _HOUR_MS
        item = np.zeros(len(user), np.int64)
        new = np.zeros(len(user), bool)
        for attempt in range(_ATTEMPTS):
            rows = np.flatnonzero(~new)  # sorted by start, so by hour
            if not len(rows):
                break
            hours, bounds = np.unique(hour[rows], return_index=True)
            for now, part in zip(hours, np.split(rows, bounds[1:]), strict=True):
                exploration = 1.0 if attempt == _ATTEMPTS - 1 else _EXPLORATION
                item[part] = self._shown(user[part], int(now) * _HOUR_MS, exploration, rng)
            new = self._is_new(user, item)
        return item, new

    def _shown(self, user: np.ndarray, now: int, exploration: float, rng: np.random.Generator) -> np.ndarray:
        """The logging policy: one item for each impression of the hour that starts at `now`."""
        catalogue = self._catalogue
        born, fading = exposure_weights(catalogue, now)
        candidates = born[_draw(fading * catalogue.popularity[born], (len(user), _CANDIDATES), rng)]
        known = _POLICY_STRENGTH * self._world.affinity(user[:, None], catalogue, candidates)
        look = known + rng.normal(0, _POLICY_NOISE, known.shape)
        chosen = candidates[np.arange(len(user)), look.argmax(axis=1)]
        any_item = born[_draw(fading, (len(user),), rng)]
        return np.where(rng.random(len(user)) < exploration, any_item, chosen)

    def _is_new(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Boolean [n]: the user has not seen the item on a former day, nor in a former row."""
        pair = self._pair(user, item)
        new = np.zeros(len(pair), bool)
        new[np.unique(pair, return_index=True)[1]] = True
        if len(self._seen):
            at = np.minimum(np.searchsorted(self._seen, pair), len(self._seen) - 1)
            new &= self._seen[at] != pair
        return new

    def _pair(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return user * np.int64(len(self._catalogue)) + item

    def _kept(
        self, user: np.ndarray, item: np.ndarray, new: np.ndarray, rows: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Row numbers of `rows` impressions, in order: such as repeat nothing, then (rarely) others."""
        shuffled = rng.permutation(len(item))
        kept = np.sort(np.concatenate([shuffled[new[shuffled]], shuffled[~new[shuffled]]])[:rows])
        self._seen = np.union1d(self._seen, self._pair(user[kept], item[kept]))
        return kept

    def _click_probability(
        self, user: np.ndarray, item: np.ndarray, start: np.ndarray, position: np.ndarray
    ) -> np.ndarray:
        catalogue = self._catalogue
        hour = start % DAY_MS / _HOUR_MS
        logit = (
            _AFFINITY * self._world.affinity(user, catalogue, item)
            + _QUALITY * catalogue.quality[item]
            + self._world.users.eagerness[user]
            - _POSITION * np.log1p(position)
            - _LENGTH * _relative_length(catalogue, item)
            + _EVENING * np.cos(2 * np.pi * (hour - 21) / 24)
        )
        if self._intercept is None:
            self._intercept = _intercept_for(logit, _CLICK_RATE)
        return 1 / (1 + np.exp(-(logit + self._intercept)))

    def _behaviours(
        self, user: np.ndarray, item: np.ndarray, probability: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Label columns, and `dwell_s`: float64 [n] seconds until the user moves on."""
        catalogue = self._catalogue
        n = len(user)
        click = rng.random(n) < probability
        affinity = self._world.affinity(user, catalogue, item)
        like = click & (rng.random(n) < 1 / (1 + np.exp(2.2 - 0.8 * affinity)))
        if self._domain == "goods":
            return {
                "is_click": click.astype(np.int8),
                "is_purchase": (like & (rng.random(n) < 0.5)).astype(np.int8),
                "dwell_s": np.where(click, rng.lognormal(3.0, 0.7, n), 1.0),
                "cross_domain": np.ones(n, bool),
            }
        duration = catalogue.duration[item]
        ratio = np.exp(self._log_stay_ratio(user, item, affinity) + rng.normal(0, _STAY_NOISE, n))
        glance = np.where(rng.random(n) < _NO_GLANCE, 0.0, rng.lognormal(0.0, _GLANCE_NOISE, n))
        stay = np.where(click, np.minimum(ratio, _STAY_MAXIMUM) * duration, np.minimum(glance, duration))
        stay = stay.round(2).astype(np.float32)
        return {
            "is_click": click.astype(np.int8),
            "is_like": like.astype(np.int8),
            "is_long_view": (click & (stay >= _LONG_VIEW * duration)).astype(np.int8),
            "stay_s": stay,
            "video_duration_s": duration,
            "dwell_s": stay.astype(np.float64),
        }

    def _log_stay_ratio(self, user: np.ndarray, item: np.ndarray, affinity: np.ndarray) -> np.ndarray:
        """Mean of log(stay / duration) of clicked videos, before the cut."""
        return (
            _STAY_BASE
            + _STAY_AFFINITY * affinity
            + _STAY_QUALITY * self._catalogue.quality[item]
            + self._world.users.patience[user]
            - _STAY_LENGTH * _relative_length(self._catalogue, item)
        )

    def _truth(self, user: np.ndarray, item: np.ndarray, probability: np.ndarray) -> dict[str, np.ndarray]:
        """What `_behaviours` draws from: the click probability, and a video's mean stay before the click is known."""
        truth = {"click_probability": probability}
        if self._domain == "video":
            duration = self._catalogue.duration[item].astype(np.float64)
            log_ratio = self._log_stay_ratio(
                user, item, self._world.affinity(user, self._catalogue, item)
            ).astype(np.float64)
            watched = _mean_of_cut_lognormal(log_ratio, _STAY_NOISE, _STAY_MAXIMUM) * duration
            glanced = (1 - _NO_GLANCE) * _mean_of_cut_lognormal(np.zeros(len(item)), _GLANCE_NOISE, duration)
            truth["expected_stay_s"] = probability * watched + (1 - probability) * glanced
        return truth

    def _times(
        self, dwell: np.ndarray, first: np.ndarray, start: np.ndarray, day: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Milliseconds of each impression: the session's start, then stay and a short pause in turn."""
        gap = (dwell + 0.5 + rng.exponential(1.0, len(dwell))) * 1000
        before = np.cumsum(gap) - gap
        offset = before - before[first]
        left = self._config.start_ms + (day + 1) * DAY_MS - 1 - start
        return start + np.minimum(offset, left).astype(np.int64)


def exposure_weights(catalogue: Catalogue, now: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the items that are born at `now` (ms), and how their exposure has faded since."""
    born = np.flatnonzero(catalogue.born_ms <= now)
    age = (now - catalogue.born_ms[born]) / DAY_MS
    return born, np.exp(-age / _FADE_DAYS) + _FADE_FLOOR


def _draw(weights: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Indices drawn with probability proportional to `weights`."""
    cumulative = np.cumsum(weights)
    drawn = np.searchsorted(cumulative, rng.random(shape) * cumulative[-1], side="right")
    return np.minimum(drawn, len(weights) - 1)


def _relative_length(catalogue: Catalogue, item: np.ndarray) -> np.ndarray:
    """log(duration), about standard normal."""
    return (np.log(catalogue.duration[item]) - 3.3) / 0.7


def _mean_of_cut_lognormal(location: np.ndarray, scale: float, cut: np.ndarray | float) -> np.ndarray:
    """Mean of min(exp(N(location, scale)), cut), in closed form; float64 [n]."""
    z = (np.log(cut) - location) / scale
    below, above = _normal_cdf(z - scale), 1 - _normal_cdf(z)
    return np.exp(location + scale**2 / 2) * below + cut * above


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    return (1 + np.vectorize(math.erf, otypes=[np.float64])(z / math.sqrt(2))) / 2


def _intercept_for(logit: np.ndarray, rate: float) -> float:
    """What to add to the logits for a mean probability of `rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        too_high = (1 / (1 + np.exp(-(logit + middle)))).mean() > rate
        low, high = (low, middle) if too_high else (middle, high)
    return (low + high) / 2
