"""Tables that a comparison has and an evaluation has not: differences, costs, leak checks."""

from collections.abc import Mapping
from typing import Any

from tf_e2egrec.evaluation.report_tables import METRIC_TITLES, where
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, difference_text, number


def differences_sheet(report: Mapping[str, Any]) -> Sheet:
    """Every other model against the reference, by metric."""
    reference, others = report["reference"], report["differences"]["overall"]
    shown = [
        metric
        for metric in METRIC_TITLES
        if any(number(one.get(metric, {}).get("difference")) is not None for one in others.values())
    ]
    rows = [
        [f"{reference} - {other}", *(difference_text(one[metric]) for metric in shown)]
        for other, one in others.items()
    ]
    columns = ["models", *(f"Δ{METRIC_TITLES[metric]}" for metric in shown)]
    return Sheet(f"{where(report)}: paired differences, 95 % intervals over users", columns, rows)


def differences_by_day_sheet(report: Mapping[str, Any], metric: str = "auc") -> Sheet:
    """Differences of one metric, models by days."""
    reference, days = report["reference"], report["differences"]["days"]
    others = list(report["differences"]["overall"])
    rows = [[day, *(difference_text(one[other][metric]) for other in others)] for day, one in days.items()]
    columns = ["day", *(f"{reference} - {other}" for other in others)]
    title = (
        f"{where(report)}: paired differences of {METRIC_TITLES[metric]} per day, 95 % intervals over users"
    )
    return Sheet(title, columns, rows)


def costs_sheet(report: Mapping[str, Any]) -> Sheet:
    """What each model costs; without the column of GPU memory where there was no GPU."""
    forms = {
        "parameters": ("parameters", ","),
        "frozen": ("frozen", ","),
        "s/step": ("seconds_per_step", ".3f"),
        "training [s]": ("training_seconds", ",.0f"),
        "GNN refresh [s]": ("refresh_seconds", ",.0f"),
        "memory [MiB]": ("peak_memory_mib", ",.0f"),
        "GPU memory [MiB]": ("peak_gpu_memory_mib", ",.0f"),
    }
    costs = report["costs"]
    shown = {
        title: (name, form)
        for title, (name, form) in forms.items()
        if name != "peak_gpu_memory_mib" or any(number(one.get(name)) is not None for one in costs.values())
    }
    rows = [
        [model, *(_figure(one.get(name), form) for name, form in shown.values())]
        for model, one in costs.items()
    ]
    return Sheet(f"{where(report)}: costs, means over seeds", ["model", *shown], rows)


def checks_sheet(report: Mapping[str, Any]) -> Sheet:
    """What was looked at for leaks."""
    rows = [
        [one["check"], one["graph"], f"{one['looked_at']:,}", "no leak found"]
        for one in report["leak_checks"]
    ]
    return Sheet(f"{where(report)}: leak checks", ["what was checked", "graph", "looked at", "finding"], rows)


def _figure(value: float | None, form: str) -> str:
    known = number(value)
    return MISSING if known is None else format(known, form)
