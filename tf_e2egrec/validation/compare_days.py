"""Measures of a new day beside the one before, each held against its bound."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.validation.day import Day
from tf_e2egrec.validation.stability_index import category_cells, numeric_cells, stability_index
from tf_e2egrec.validation.thresholds import Thresholds


class Measure(NamedTuple):
    """One line of the report.

    Attributes:
      name: what is measured.
      before, now: of the two days; NaN where there is no such number.
      value: what is held against the bound.
      bound: as people read it.
      is_crossed: whether the day is not like the one before.
    """

    name: str
    before: float
    now: float
    value: float
    bound: str
    is_crossed: bool


def compare_days(before: Day, now: Day, thresholds: Thresholds) -> list[Measure]:
    """Hold a new day against the one before.

    Args:
      before: the rows that are trusted.
      now: the new rows.
      thresholds: from where on a measure blocks.

    Returns:
      Counts (ratios), shares of bad and repeated rows, rates of behaviours (ratios), overlap of the vocabulary, shares of
      missing values, and the population stability index of every feature and label. A side without rows crosses.
    """
    return [
        *_counts(before, now, thresholds),
        *_rates(before, now, thresholds),
        *_overlap(before, now, thresholds),
        *_missing(before, now, thresholds),
        *_stability(before, now, thresholds),
    ]


def _counts(before: Day, now: Day, thresholds: Thresholds) -> Iterator[Measure]:
    counted: dict[str, tuple[float, float]] = {
        "rows": (len(before), len(now)),
        "users": (len(np.unique(before.user)), len(np.unique(now.user))),
        "items": (len(np.unique(before.item)), len(np.unique(now.item))),
    }
    for name, counts in counted.items():
        yield _ratio(name, *counts, thresholds.count_ratio)
    for name, old, new in (
        ("unusable rows", before.bad_rows, now.bad_rows),
        ("repeated rows", before.duplicate_rows, now.duplicate_rows),
    ):
        if not math.isnan(new):
            yield Measure(name, old, new, new, f"<= {thresholds.bad_rows:g}", new > thresholds.bad_rows)


def _rates(before: Day, now: Day, thresholds: Thresholds) -> Iterator[Measure]:
    for name in before.behaviours:
        old, new = (_share(day.behaviours[name]) for day in (before, now))
        yield _ratio(f"rate of {name}", old, new, thresholds.rate_ratio)


def _overlap(before: Day, now: Day, thresholds: Thresholds) -> Iterator[Measure]:
    share = _share(np.isin(now.item, before.item))
    yield Measure(
        "rows of known items",
        math.nan,
        share,
        share,
        f">= {thresholds.overlap:g}",
        not share >= thresholds.overlap,
    )
    share = _share(np.isin(np.unique(before.item), now.item))
    yield Measure("items seen again", math.nan, share, share, "", False)


def _missing(before: Day, now: Day, thresholds: Thresholds) -> Iterator[Measure]:
    columns = [
        *((name, np.isnan(before.numbers[name]), np.isnan(now.numbers[name])) for name in before.numbers),
        *(
            (name, before.categories[name] == MISSING_KEY, now.categories[name] == MISSING_KEY)
            for name in before.categories
        ),
    ]
    for name, old, new in columns:
        shares = _share(old), _share(new)
        moved = abs(shares[1] - shares[0])
        yield Measure(
            f"missing {name}", *shares, moved, f"<= {thresholds.missing:g}", not moved <= thresholds.missing
        )


def _stability(before: Day, now: Day, thresholds: Thresholds) -> Iterator[Measure]:
    cells = {name: numeric_cells(before.numbers[name], now.numbers[name]) for name in before.numbers}
    cells |= {
        name: category_cells(before.categories[name], now.categories[name]) for name in before.categories
    }
    for name, counts in cells.items():
        index = stability_index(*counts)
        bound = f"<= {thresholds.stability:g}"
        yield Measure(
            f"stability of {name}", math.nan, math.nan, index, bound, not index <= thresholds.stability
        )


def _ratio(name: str, old: float, new: float, most: float) -> Measure:
    """new / old within [1 / most, most]; nothing on both sides is as before."""
    ratio = 1.0 if old == new == 0 else new / old if old else math.inf
    return Measure(name, old, new, ratio, f"{1 / most:.3g} to {most:g}", not 1 / most <= ratio <= most)


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
