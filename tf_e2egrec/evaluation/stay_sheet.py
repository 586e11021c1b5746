"""Stay models beside the baselines, as a table."""

from collections.abc import Mapping
from typing import Any

from tf_e2egrec.evaluation.report_tables import METRIC_TITLES, where
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, difference_text, mean_and_spread

_NOTE = (
    "The stay baselines need no model: the mean stay of the training rows, and the median of the training rows in the same of 20 "
    "buckets of content duration (of all of them where the duration is unknown). ΔMAE is the model's error minus the baseline's."
)


def stay_sheet(report: Mapping[str, Any]) -> Sheet | None:
    """Models and baselines by MAE and XAUC, and the paired differences of MAE.

    Args:
      report: what `build_comparison` returned.

    Returns:
      None where the report holds no stay baselines.
    """
    stay = report.get("stay_baselines")
    if not stay:
        return None
    baselines = stay["baselines"]
    rows = [
        [name, mean_and_spread(one["overall"]["stay_mae"]), mean_and_spread(one["overall"]["xauc"])]
        + [difference_text(stay["differences"][name][baseline]) for baseline in baselines]
        for name, one in report["models"].items()
    ]
    for name, errors in baselines.items():
        cells = [mean_and_spread({"mean": errors[metric], "std": None}) for metric in ("stay_mae", "xauc")]
        rows.append([name, *cells, *(MISSING for _ in baselines)])
    metrics = [METRIC_TITLES[metric] for metric in ("stay_mae", "xauc")]
    title = f"{where(report)}: stay duration of {stay['rows']:,} labelled rows, 95 % intervals over users"
    return Sheet(title, ["model", *metrics, *(f"ΔMAE to {name}" for name in baselines)], rows)


def stay_notes(report: Mapping[str, Any]) -> list[str]:
    """What the baselines are, where there are any."""
    return [_NOTE] if report.get("stay_baselines") else []
