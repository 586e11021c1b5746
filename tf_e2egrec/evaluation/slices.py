"""Where the gain lies: AUC and paired differences by age and popularity of the item, activity of the user, neighbours."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_e2egrec.evaluation.metrics import auc
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predicted, paired_differences
from tf_e2egrec.evaluation.report import spread

FEWEST = 50  # rewarded rows, and others, below which an AUC says nothing
_MS_PER_HOUR = 3_600_000
# Lower bounds; the last bin is open.
_AGES = {"< 1 h": 0, "1-6 h": 1, "6-24 h": 6, "1-3 d": 24, "3-7 d": 72, "≥ 7 d": 168}
_COUNTS = {"0": 0, "1-4": 1, "5-19": 5, "20-99": 20, "100-999": 100, "≥ 1,000": 1000}
_FRESH = "< 1 d"  # beside the bins of age, which it overlaps


class Bin(NamedTuple):
    """Some of the test rows.

    Attributes:
      name: such as `1-6 h`.
      rows: int64 [k] their numbers, ascending.
    """

    name: str
    rows: np.ndarray


def bins_of(slices: Mapping[str, np.ndarray]) -> dict[str, list[Bin]]:
    """The bins that hold a row, by dimension.

    Args:
      slices: as `RowFacts.slices`; a dimension that is not there has no bins.

    Example:
      >>> [(one.name, one.rows.tolist()) for one in bins_of({"neighbours": np.array([0, 7, 5])})["neighbours"]]
      [('0', [0]), ('5-19', [1, 2])]
    """
    found = {}
    for dimension, values in slices.items():
        if dimension == "fresh":
            continue
        is_age = dimension == "item_age"
        bounds = np.array(list((_AGES if is_age else _COUNTS).values())) * (_MS_PER_HOUR if is_age else 1)
        number = np.searchsorted(bounds, values, side="right") - 1  # -1: unknown
        names = _AGES if is_age else _COUNTS
        bins = [Bin(name, np.flatnonzero(number == place)) for place, name in enumerate(names)]
        if is_age and "fresh" in slices:
            bins.append(Bin(_FRESH, np.flatnonzero(slices["fresh"])))
        found[dimension] = [one for one in bins if len(one.rows)]
    return found


def slice_report(
    rows: LabelledRows,
    predicted: Predicted,
    slices: Mapping[str, np.ndarray],
    reference: str,
    draws: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, list[dict[str, Any]]]:
    """AUC and paired differences of AUC in every bin.

    Args:
      rows: labels of the test rows.
      predicted: model -> seed -> predictions of these rows; all models have the same seeds.
      slices: as `RowFacts.slices`.
      reference: the model whose gain is asked for.
      draws: of the bootstrap over users.
      advance: called `slice_steps(rows, slices, draws)` times.

    Returns:
      dimension -> bins with `bin`, `rows`, `positives`, `left_out` (why there is no AUC, or None), `auc` (model -> `mean`,
      `std`, `n` over seeds) and `differences` (other model -> the fields of `paired_differences`), both empty where the
      bin is left out.
    """
    return {
        dimension: [_of_bin(one, rows.take(one.rows), predicted, reference, draws, advance) for one in bins]
        for dimension, bins in bins_of(slices).items()
    }


def slice_steps(rows: LabelledRows, slices: Mapping[str, np.ndarray], draws: int) -> int:
    """How often `slice_report` says that it advanced."""
    bins = [one for of_dimension in bins_of(slices).values() for one in of_dimension]
    return draws * sum(_why_left_out(rows.reward[one.rows]) is None for one in bins)


def _of_bin(
    one: Bin,
    rows: LabelledRows,
    predicted: Predicted,
    reference: str,
    draws: int,
    advance: Callable[[], object],
) -> dict[str, Any]:
    why = _why_left_out(rows.reward)
    found: dict[str, Any] = {
        "bin": one.name,
        "rows": len(rows.reward),
        "positives": int(rows.reward.sum()),
        "left_out": why,
        "auc": {},
        "differences": {},
    }
    if why is not None:
        return found
    taken = {
        model: {seed: of_seed.take(one.rows) for seed, of_seed in sorted(by_seed.items())}
        for model, by_seed in predicted.items()
    }
    for model, by_seed in taken.items():
        found["auc"][model] = spread([auc(rows.reward, of_seed.reward) for of_seed in by_seed.values()])
    differences = paired_differences(rows, taken, reference, draws, advance=advance, metrics=("auc",))
    found["differences"] = {other: metrics["auc"] for other, metrics in differences.items()}
    return found


def _why_left_out(reward: np.ndarray) -> str | None:
    positives = int(reward.sum())
    for count, what in ((positives, "positives"), (len(reward) - positives, "negatives")):
        if count < FEWEST:
            return f"{count} {what}, fewer than {FEWEST}"
    return None
