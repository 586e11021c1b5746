"""What moved is found, and nothing else; a bound that makes no sense is refused."""

import dataclasses

import numpy as np
import pytest

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.validation.compare_days import compare_days
from tf_e2egrec.validation.day import Day
from tf_e2egrec.validation.thresholds import Thresholds


def day(seed=0, rows=20_000, **changes):
    rng = np.random.default_rng(seed)
    made = Day(
        name="a day",
        user=rng.integers(0, 500, rows),
        item=rng.integers(0, 300, rows),
        behaviours={"click": rng.random(rows) < 0.2},
        numbers={"price": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))},
        categories={"device": np.where(rng.random(rows) < 0.1, -1, rng.integers(0, 5, rows))},
        bad_rows=0.001,
        duplicate_rows=0.0,
    )
    return dataclasses.replace(made, **changes)


def crossed(before, now, **bounds):
    return {one.name for one in compare_days(before, now, Thresholds(**bounds)) if one.is_crossed}


def moved(name, values):
    base = day(1)
    field = "numbers" if name in base.numbers else "categories"
    return dataclasses.replace(base, **{field: {name: values(getattr(base, field)[name])}})


def test_two_days_of_one_kind_are_alike():
    assert crossed(day(), day(1)) == set()
    assert crossed(day(), day(1, rows=11_000)) == set()


CASES = {
    "few rows": (day(1, rows=9_000), {"rows"}),
    "many rows": (day(1, rows=41_000), {"rows"}),
    "few users": (dataclasses.replace(day(1), user=day(1).user % 200), {"users"}),
    "many items": (dataclasses.replace(day(1), item=day(1).item * 3 + day(1).user % 3), {"items", "rows of known items"}),
    "no item again": (dataclasses.replace(day(1), item=day(1).item + 10_000), {"rows of known items"}),
    "no click": (dataclasses.replace(day(1), behaviours={"click": np.zeros(20_000, bool)}), {"rate of click"}),
    "many clicks": (dataclasses.replace(day(1), behaviours={"click": day(1).user % 3 == 0}), {"rate of click"}),
    "a shift": (moved("price", lambda x: x + 1), {"stability of price"}),
    "another unit": (moved("price", lambda x: x * 1000), {"stability of price"}),
    "mostly missing": (moved("price", lambda x: np.where(np.arange(len(x)) % 2, np.nan, x)), {"missing price", "stability of price"}),
    "other codes": (moved("device", lambda x: np.where(x < 0, x, x + 5)), {"stability of device"}),
    "a device gone": (moved("device", lambda x: np.where(x == 0, 1, x)), {"stability of device"}),
    "bad rows": (day(1, bad_rows=0.02), {"unusable rows"}),
    "a file twice": (day(1, duplicate_rows=0.5), {"repeated rows"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_moved_is_found_and_nothing_else(case):
    now, expected = CASES[case]
    assert crossed(day(), now) == expected


def test_a_day_without_rows_is_not_like_any_other():
    empty = day(rows=0)
    assert {
        "rows",
        "users",
        "items",
        "rate of click",
        "rows of known items",
        "stability of price",
    } <= crossed(day(), empty)
    assert {"rows", "stability of device"} <= crossed(empty, day())


def test_bounds_can_be_set():
    now = moved("price", lambda x: x + 1)
    assert crossed(day(), now, stability=5.0) == set()
    assert "rows" in crossed(day(), day(1, rows=19_000), count_ratio=1.01)
    assert crossed(day(), day(1), stability=0.0) == {"stability of price", "stability of device"}


@pytest.mark.parametrize(
    "bounds",
    [
        {"count_ratio": 0.5},
        {"rate_ratio": float("nan")},
        {"overlap": 2.0},
        {"missing": -1.0},
        {"stability": -1.0},
    ],
)
def test_bounds_that_make_no_sense_are_refused(bounds):
    with pytest.raises(E2EGRecError, match=next(iter(bounds))):
        Thresholds(**bounds)
