"""The time axis: units of the logs, durations of the description, pseudo-time for logs that know only ranks."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf_e2egrec.errors import E2EGRecError

RANK_SCALE = 1_000_000_000  # pseudo-time of the end of a user's history, for `unit: rank`
MS_PER_DAY = 86_400_000
FOREVER = np.iinfo(np.int64).max // 4  # the window `all`

_MS_PER_UNIT = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": MS_PER_DAY, "w": 7 * MS_PER_DAY}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)$")
_TICKS_PER_MS = {"s": 0.001, "ms": 1, "us": 1_000, "ns": 1_000_000}
_EARLIEST = int(datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
_LATEST = int(datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)


def parse_duration(value: str | float, key: str, time_is_rank: bool) -> int:
    """A duration of the description in `EventBlock.time` units.

    Args:
      value: `48h`, `30d`, `15m`, `90s`, `hour`, `day`, `all`; a fraction in (0, 1] where time is a rank.
      key: the description's key, for the message.
      time_is_rank: whether time is the pseudo-time of ranks.

    Raises:
      E2EGRecError: the value is none of these.
    """
    if value == "all":
        return FOREVER
    if time_is_rank:
        if not isinstance(value, str) and 0 < value <= 1:
            return max(1, round(value * RANK_SCALE))
        raise E2EGRecError(
            f"`{key}` must be a fraction between 0 and 1, or `all`, because `time.unit` is rank. Received: {value}"
        )
    text = {"hour": "1h", "day": "1d", "week": "1w"}.get(str(value), str(value))
    match = _DURATION.match(text)
    if match is None or float(match[1]) <= 0:
        raise E2EGRecError(
            f"`{key}` must be a duration such as 15m, 1h, 48h, 30d, or `all`. Received: {value}"
        )
    return round(float(match[1]) * _MS_PER_UNIT[match[2]])


def milliseconds_from_column(column: pa.ChunkedArray | pa.Array, unit: str, name: str) -> np.ndarray:
    """A time column as int64 milliseconds since the epoch; ranks stay as they are.

    Returns:
      int64 [n]; -1 where the value is missing or cannot be read (the caller counts those rows).

    Raises:
      E2EGRecError: most of the times fall outside 1990-2100, so the unit must be wrong; the message proposes
        one that fits.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if unit == "iso":
        return _iso_to_ms(column, name)
    if pa.types.is_temporal(column.type):
        raise E2EGRecError(f"the time column `{name}` holds timestamps ({column.type}); set `time.unit: iso`")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = column.to_numpy(zero_copy_only=False)
        ticks = np.array([_number(value) for value in text], dtype=np.float64)
    else:
        ticks = np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(np.nan))
        if pa.types.is_integer(column.type):  # float64 would round nanoseconds
            exact = np.asarray(pc.cast(column, pa.int64()).fill_null(-1))
            return _checked(exact if unit == "rank" else _scale(exact, unit), exact, unit, name)
    finite = np.isfinite(ticks)
    exact = np.where(finite, ticks, -1).astype(np.int64)
    if unit == "rank":
        return exact
    scaled = np.where(finite, ticks, 0) / _TICKS_PER_MS[unit]
    if unit == "s":  # 0.385 s are 384.99999 ms in binary
        scaled = np.rint(scaled)
    scaled = np.where(finite, scaled, -1).astype(np.int64)
    return _checked(scaled, exact, unit, name)


def _scale(ticks: np.ndarray, unit: str) -> np.ndarray:
    if unit == "s":
        return np.where(ticks < 0, ticks, np.clip(ticks, -1, _LATEST * 10) * 1000)
    return np.where(ticks < 0, ticks, ticks // int(_TICKS_PER_MS[unit]))


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return np.nan


def _iso_to_ms(column: pa.Array, name: str) -> np.ndarray:
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        return np.asarray(
            pc.cast(pc.cast(column, pa.timestamp("ms", tz=column.type.tz), safe=False), pa.int64()).fill_null(
                -1
            )
        )
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise E2EGRecError(
            f"the time column `{name}` has type {column.type}; `time.unit: iso` needs ISO 8601 text or timestamps"
        )
    return np.array([_iso_text_to_ms(text) for text in column.to_pylist()], dtype=np.int64)


def _iso_text_to_ms(text: str | None) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return -1
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1000)


def _checked(ms: np.ndarray, ticks: np.ndarray, unit: str, name: str) -> np.ndarray:
    """Refuse a unit that puts most rows before 1990 or after 2100."""
    present = ms >= 0
    outside = present & ((ms < _EARLIEST) | (ms > _LATEST))
    if unit == "rank" or not present.any() or outside.sum() * 2 <= present.sum():
        return np.where(outside & (unit != "rank"), -1, ms)
    first = ticks[outside][0]
    fitting = [u for u, per_ms in _TICKS_PER_MS.items() if _EARLIEST <= first / per_ms <= _LATEST]
    hint = f"set `time.unit: {fitting[0]}`" if fitting else "no unit fits; is it a time column?"
    raise E2EGRecError(
        f"the time column `{name}` read as `{unit}` gives dates such as {_year_of(int(ms[outside][0]))} (value {first}); {hint}"
    )


def _year_of(ms: int) -> str:
    years = 1970 + ms / (365.2425 * MS_PER_DAY)
    return f"the year {years:.0f}"


def rank_to_time(user: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Pseudo-time of ranks: the share of the user's rows that come before, times `RANK_SCALE`.

    Args:
      user: int64 [n], rows of a user adjacent and in order of rank.
      rank: int64 [n]; equal ranks of a user share one time.

    Returns:
      int64 [n] in [0, RANK_SCALE).
    """
    if len(user) == 0:
        return np.zeros(0, np.int64)
    index = np.arange(len(user))
    new_user = np.r_[True, user[1:] != user[:-1]]
    start = np.maximum.accumulate(np.where(new_user, index, 0))
    count = np.diff(np.r_[np.flatnonzero(new_user), len(user)])[np.cumsum(new_user) - 1]
    new_rank = new_user | np.r_[True, rank[1:] != rank[:-1]]
    before = np.maximum.accumulate(np.where(new_rank, index, 0)) - start
    return before * RANK_SCALE // count


def day_names(time: np.ndarray, time_is_rank: bool) -> np.ndarray:
    """The UTC day of each row as text `YYYY-MM-DD`, or `all` where there are no dates; str [n]."""
    if time_is_rank:
        return np.full(len(time), "all")
    return time.astype("datetime64[ms]").astype("datetime64[D]").astype(str)
