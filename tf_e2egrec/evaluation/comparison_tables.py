"""The report of `e2egrec compare` as tables, for the terminal and in Markdown."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group

from tf_e2egrec.evaluation.comparison_sheets import (
    checks_sheet,
    costs_sheet,
    differences_by_day_sheet,
    differences_sheet,
)
from tf_e2egrec.evaluation.report_tables import (
    days_sheet,
    gains_sheet,
    in_markdown,
    metrics_sheet,
    on_terminal,
    relative_gains_sheet,
    report_notes,
)
from tf_e2egrec.evaluation.sheet import Sheet
from tf_e2egrec.evaluation.slices_sheet import slices_notes, slices_sheets
from tf_e2egrec.evaluation.stay_sheet import stay_notes, stay_sheet
from tf_e2egrec.evaluation.tuning_sheet import tuning_sheets

_RELATIVE_GAINS = {"auc_relative": "ΔAUC / AUC", "auc_above_chance": "ΔAUC / (AUC - 0.5)"}
_SLICES_ON_TERMINAL = ("item_age",)
_INTERVALS = (
    "Differences are {reference} minus the other model, as means over seeds; in brackets the 95 % interval of a bootstrap over "
    "users ({draws} draws), behind it the standard error over paired seeds. The interval knows nothing of seeds, the error "
    "nothing of users: a difference should survive both. XAUC has the error over seeds alone."
)
_COSTS = (
    "Frozen parameters are not reached by the ranking loss. A step is one training batch, its input included (median, after the "
    "training); memory is the most that the training process held, mapped files left out. GNN refresh is the part of a cascade's "
    "training that makes its graph network anew, which end to end nobody does."
)
_BESIDE = " They were measured with {jobs} runs side by side."


def render_comparison(report: Mapping[str, Any]) -> Group:
    """Rich tables: metrics, gains over the baseline, differences to the reference, days, stay, item ages, costs.

    Args:
      report: what `build_comparison` returned, or the same read back from `report.json`.
    """
    return on_terminal(_sheets(report, whole=False), _notes(report))


def comparison_markdown(report: Mapping[str, Any]) -> str:
    """The same tables, all metrics of each day, all slices, the leak checks and the whole context, as Markdown text."""
    context = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in report["context"].items()
    }
    return in_markdown("Comparison", context, _sheets(report, whole=True), _notes(report))


def _sheets(report: Mapping[str, Any], *, whole: bool) -> list[Sheet]:
    sheets = [metrics_sheet(report)]
    if any(one["gain"] for one in report["models"].values()):
        sheets.append(gains_sheet(report))
    differences = report["differences"]
    if differences["overall"]:
        sheets.append(differences_sheet(report))
    days = list(differences["days"])
    if len(days) > 1:
        sheets.append(days_sheet(report))
        if differences["overall"]:
            sheets.append(differences_by_day_sheet(report))
        sheets += _relative_gains(report, whole=whole)
        sheets += [metrics_sheet(report, day) for day in days if whole]
    stay = stay_sheet(report)
    sheets += [stay] if stay is not None else []
    sheets += slices_sheets(report, None if whole else _SLICES_ON_TERMINAL)
    return [
        *sheets,
        *tuning_sheets(report),
        costs_sheet(report),
        *([checks_sheet(report)] if whole else []),
    ]


def _relative_gains(report: Mapping[str, Any], *, whole: bool) -> list[Sheet]:
    found = [
        relative_gains_sheet(report, gain, title)
        for gain, title in _RELATIVE_GAINS.items()
        if whole or gain == "auc_relative"
    ]
    return [sheet for sheet in found if sheet is not None]


def _notes(report: Mapping[str, Any]) -> list[str]:
    context = report["context"]
    notes = report_notes(report)
    if report["differences"]["overall"]:
        notes.append(_INTERVALS.format(reference=report["reference"], draws=context["bootstrap_draws"]))
    notes += [*stay_notes(report), *slices_notes(report)]
    jobs = context.get("jobs", 1)
    return [*notes, _COSTS + (_BESIDE.format(jobs=jobs) if jobs > 1 else "")]
