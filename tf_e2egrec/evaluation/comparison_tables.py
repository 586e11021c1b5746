"""The report of `e2egrec compare` as tables, for the terminal and in Markdown."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group

from tf_e2egrec.evaluation.report_tables import (
    METRIC_TITLES,
    days_sheet,
    gains_sheet,
    in_markdown,
    metrics_sheet,
    on_terminal,
    report_notes,
    where,
)
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, number

_INTERVALS = (
    "Differences are {reference} minus the other model, as means over seeds; in brackets the 95 % interval of a bootstrap over "
    "users ({draws} draws), behind it the standard error over paired seeds. The interval knows nothing of seeds, the error "
    "nothing of users: a difference should survive both. XAUC has the error over seeds alone."
)
_COSTS = (
    "Frozen parameters are not reached by the ranking loss. A step is one training batch, its input included (median, after the "
    "training); memory is the most that the training process held (RSS)."
)
_BESIDE = " They were measured with {jobs} runs side by side."


def render_comparison(report: Mapping[str, Any]) -> Group:
    """Rich tables: metrics, gains over the baseline, differences to the reference, AUC per day, costs.

    Args:
      report: what `build_comparison` returned, or the same read back from `report.json`.
    """
    return on_terminal(_sheets(report, whole=False), _notes(report))


def comparison_markdown(report: Mapping[str, Any]) -> str:
    """The same tables, the other metrics of each day, the leak checks and the whole context, as Markdown text."""
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
        sheets.append(_differences_sheet(report))
    days = list(differences["days"])
    if len(days) > 1:
        sheets.append(days_sheet(report))
        if differences["overall"]:
            sheets.append(_differences_by_day(report))
        sheets += [metrics_sheet(report, day) for day in days if whole]
    return [*sheets, _costs_sheet(report), *([_checks_sheet(report)] if whole else [])]


def _differences_sheet(report: Mapping[str, Any]) -> Sheet:
    reference, others = report["reference"], report["differences"]["overall"]
    shown = [
        metric
        for metric in next(iter(others.values()))
        if any(number(one[metric]["difference"]) is not None for one in others.values())
    ]
    rows = [
        [f"{reference} - {other}", *(_difference(one[metric]) for metric in shown)]
        for other, one in others.items()
    ]
    columns = ["models", *(f"Δ{METRIC_TITLES[metric]}" for metric in shown)]
    return Sheet(f"{where(report)}: paired differences, 95 % intervals over users", columns, rows)


def _differences_by_day(report: Mapping[str, Any]) -> Sheet:
    reference, days = report["reference"], report["differences"]["days"]
    others = list(report["differences"]["overall"])
    rows = [[day, *(_difference(one[other]["auc"]) for other in others)] for day, one in days.items()]
    title = f"{where(report)}: paired differences of AUC per day, 95 % intervals over users"
    return Sheet(title, ["day", *(f"{reference} - {other}" for other in others)], rows)


def _difference(one: Mapping[str, Any]) -> str:
    """`+0.0075 [+0.0061, +0.0089] ± 0.0005`."""
    difference, low, high, error = (number(one[name]) for name in ("difference", "low", "high", "seed_error"))
    if difference is None:
        return MISSING
    text = f"{difference:+.4f}"
    if low is not None and high is not None:
        text += f" [{low:+.4f}, {high:+.4f}]"
    return text if error is None else f"{text} ± {error:.4f}"


def _costs_sheet(report: Mapping[str, Any]) -> Sheet:
    rows = [
        [
            name,
            f"{cost['parameters']:,}",
            f"{cost['frozen']:,}",
            _figure(cost["seconds_per_step"], ".3f"),
            _figure(cost["training_seconds"], ".0f"),
            _figure(cost["peak_memory_mib"], ",.0f"),
            _figure(cost["peak_gpu_memory_mib"], ",.0f"),
        ]
        for name, cost in report["costs"].items()
    ]
    columns = ["model", "parameters", "frozen", "s/step", "training [s]", "memory [MiB]", "GPU memory [MiB]"]
    if all(row[-1] == MISSING for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Sheet(f"{where(report)}: costs, means over seeds", columns, rows)


def _checks_sheet(report: Mapping[str, Any]) -> Sheet:
    rows = [
        [one["check"], one["graph"], f"{one['looked_at']:,}", "no leak found"]
        for one in report["leak_checks"]
    ]
    return Sheet(f"{where(report)}: leak checks", ["what was checked", "graph", "looked at", "finding"], rows)


def _figure(value: float | None, form: str) -> str:
    known = number(value)
    return MISSING if known is None else format(known, form)


def _notes(report: Mapping[str, Any]) -> list[str]:
    context = report["context"]
    notes = report_notes(report)
    if report["differences"]["overall"]:
        notes.append(_INTERVALS.format(reference=report["reference"], draws=context["bootstrap_draws"]))
    jobs = context.get("jobs", 1)
    return [*notes, _COSTS + (_BESIDE.format(jobs=jobs) if jobs > 1 else "")]
