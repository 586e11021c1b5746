"""What came out: metrics, differences, days, slices, stay, all models."""

from collections.abc import Mapping, Sequence
from typing import Any

from tf_e2egrec.evaluation.comparison_sheets import differences_by_day_sheet, differences_sheet
from tf_e2egrec.evaluation.html_report.interval_plot import Interval, IntervalGroup, interval_plot
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.section import Section, not_recorded, shown_against
from tf_e2egrec.evaluation.html_report.tables import figure, folded, note, table
from tf_e2egrec.evaluation.report_tables import (
    METRIC_TITLES,
    days_sheet,
    gains_sheet,
    metrics_sheet,
    relative_gains_sheet,
    report_notes,
    where,
)
from tf_e2egrec.evaluation.sheet import Sheet, difference_text, mean_and_spread, number
from tf_e2egrec.evaluation.slices_sheet import slices_notes, slices_sheets
from tf_e2egrec.evaluation.stay_sheet import stay_notes, stay_sheet

_INTERVALS = (
    "Differences are {reference} minus the other model, means over seeds. In brackets the 95 % interval of a bootstrap over users "
    "({draws} draws), behind ± the standard error over paired seeds. The interval knows nothing of seeds, the error nothing of users: a "
    "difference should survive both. XAUC has the error over seeds alone."
)
_HOLLOW = "A hollow point: the interval holds 0."
_OVERLAP = " The bin < 1 d holds the rows of the first three ages together."
_MOST_DAYS_DRAWN = 14
_PLOTTED = ("auc", "gauc")
_BIN_TITLES = {
    "item_age": "item age",
    "item_popularity": "item popularity (events before)",
    "user_activity": "user activity (events before)",
    "neighbours": "neighbours of the item",
}
_RELATIVE = {"auc_relative": "ΔAUC / AUC", "auc_above_chance": "ΔAUC / (AUC - 0.5)"}


def comparison(report: Mapping[str, Any]) -> Section:
    """Models by metrics, and gains over the baseline."""
    tables = [table(report, metrics_sheet(report))]
    if any(one["gain"] for one in report["models"].values()):
        tables.append(table(report, gains_sheet(report)))
    return Section("comparison", "Comparison", joined(*tables, *map(note, report_notes(report))))


def differences(report: Mapping[str, Any]) -> Section:
    """The reference minus every other model."""
    others = report["differences"]["overall"]
    if not others:
        return Section("differences", "Differences", note("One model alone has nothing to differ from."))
    charts = [_differences_plot(report, metric) for metric in _PLOTTED]
    intervals = _INTERVALS.format(
        reference=report["reference"], draws=report["context"].get("bootstrap_draws", "?")
    )
    body = joined(
        tag("div", *charts, class_="charts"),
        table(report, differences_sheet(report)),
        note(intervals, " ", _HOLLOW),
    )
    return Section("differences", "Differences with intervals", body)


def days(report: Mapping[str, Any]) -> Section:
    """AUC and differences day by day."""
    name, title = "days", "Day by day"
    if len(report["differences"]["days"]) < 2:
        return Section(name, title, note("The test rows are of one day, or their times know no days."))
    parts = [table(report, days_sheet(report))]
    if report["differences"]["overall"]:
        if len(report["differences"]["days"]) <= _MOST_DAYS_DRAWN:
            parts.insert(0, tag("div", _days_plot(report), class_="charts"))
        parts.append(table(report, differences_by_day_sheet(report, "auc")))
        parts.append(folded("GAUC per day", table(report, differences_by_day_sheet(report, "gauc"))))
    for gain, of_gain in _RELATIVE.items():
        sheet = relative_gains_sheet(report, gain, of_gain)
        if sheet is not None:
            parts.append(folded(f"{of_gain} per day", table(report, sheet)))
    every = [table(report, metrics_sheet(report, day)) for day in report["counts"]["days"]]
    parts.append(folded("every metric of each day", *every))
    return Section(name, title, joined(*parts))


def slices(report: Mapping[str, Any]) -> Section:
    """Where the gain lies: by age and popularity of the item, activity of the user, neighbours."""
    name, title = "slices", "Where the gain lies"
    if "slices" not in report:
        return Section(name, title, not_recorded("slices"))
    dimensions = {
        dimension: bins
        for dimension, bins in report["slices"].get("dimensions", {}).items()
        if bins and report["differences"]["overall"]
    }
    if not dimensions:
        return Section(name, title, note("The test rows were not sliced, or one model stands alone."))
    charts = [_slices_plot(report, dimension, bins) for dimension, bins in dimensions.items()]
    tables = [table(report, sheet, ("left out",)) for sheet in slices_sheets(report)]
    body = joined(
        tag("div", *charts, class_="charts"),
        note(_HOLLOW, _OVERLAP if "item_age" in dimensions else ""),
        folded("every model, AUC and differences", *tables),
        *map(note, slices_notes(report)),
    )
    return Section(name, title, body)


def stay(report: Mapping[str, Any]) -> Section:
    """The stay predictions beside those that need no model."""
    name, title = "stay", "Stay baselines"
    sheet = stay_sheet(report)
    if sheet is None:
        if "stay_baselines" not in report:
            return Section(name, title, not_recorded("stay baselines"))
        return Section(name, title, note("No test row has a stay label."))
    charts = []
    found = report["stay_baselines"]["differences"]
    for baseline in report["stay_baselines"]["baselines"]:
        groups = [_group(model, of_model[baseline]) for model, of_model in found.items()]
        label = f"Mean absolute error of each model minus that of {baseline}, in seconds: " + _said(groups)
        plot = interval_plot(groups, [""], label, "ΔMAE [s], below 0: the model is nearer")
        charts.append(figure(f"Against {baseline}", plot, where(report)))
    body = joined(tag("div", *charts, class_="charts"), table(report, sheet), *map(note, stay_notes(report)))
    return Section(name, title, body)


def ablations(report: Mapping[str, Any]) -> Section:
    """Every model, what it is, and what it lacks to the reference; the best first."""
    reference, others = report["reference"], report["differences"]["overall"]
    overall = {model: one["overall"] for model, one in report["models"].items()}
    order = sorted(overall, key=lambda model: -(number(overall[model]["auc"]["mean"]) or 0.0))
    meanings = _meanings(report)
    rows = [
        [
            model,
            meanings.get(model, ""),
            mean_and_spread(overall[model]["auc"]),
            mean_and_spread(overall[model]["gauc"]),
            difference_text(others[model]["auc"]) if model in others else "",
        ]
        for model in order
    ]
    sheet = Sheet(
        "all models, the best AUC first",
        ["model", "what it is", "AUC", "GAUC", f"{reference} - it, AUC"],
        rows,
    )
    return Section("ablations", "Ablations: all models", table(report, sheet, ("what it is",)))


def _differences_plot(report: Mapping[str, Any], metric: str) -> Markup:
    reference, others = report["reference"], report["differences"]["overall"]
    title = METRIC_TITLES[metric]
    groups = [_group(other, one[metric], seeds=False) for other, one in others.items()]
    label = f"{title} of {reference} minus that of each other model, 95 % intervals: " + _said(groups)
    plot = interval_plot(groups, [""], label, f"Δ{title}, above 0: {reference} is better")
    return figure(f"{title}: {reference} minus the model", plot, where(report))


def _days_plot(report: Mapping[str, Any]) -> Markup:
    reference, series = report["reference"], shown_against(report)
    groups = [
        IntervalGroup(
            day,
            f"{report['counts']['days'][day]['impressions']:,} rows",
            [_interval(one[other]["auc"]) for other in series],
        )
        for day, one in report["differences"]["days"].items()
    ]
    label = f"AUC of {reference} minus that of {', '.join(series)} on each day; the table below holds the figures."
    plot = interval_plot(groups, [f"over {other}" for other in series], label, "ΔAUC")
    return figure(f"AUC gain of {reference} by day", plot, where(report))


def _slices_plot(report: Mapping[str, Any], dimension: str, bins: Sequence[Mapping[str, Any]]) -> Markup:
    reference, series = report["reference"], shown_against(report)
    groups = [
        IntervalGroup(
            one["bin"],
            f"left out: {one['left_out']}" if one["left_out"] else f"{one['rows']:,} rows",
            [_interval(one["differences"].get(other)) for other in series],
        )
        for one in bins
    ]
    title = _BIN_TITLES.get(dimension, dimension)
    label = (
        f"AUC of {reference} minus that of {', '.join(series)} by {title}; the tables below hold the figures."
    )
    plot = interval_plot(groups, [f"over {other}" for other in series], label, "ΔAUC")
    return figure(f"AUC gain of {reference} by {title}", plot, where(report))


def _group(label: str, difference: Mapping[str, Any], *, seeds: bool = True) -> IntervalGroup:
    text = difference_text(difference if seeds else {**difference, "seed_error": None})
    return IntervalGroup(label, text, [_interval(difference)])


def _interval(difference: Mapping[str, Any] | None) -> Interval | None:
    if difference is None:
        return None
    value, low, high = (number(difference[name]) for name in ("difference", "low", "high"))
    return None if value is None else (value, low, high)


def _said(groups: Sequence[IntervalGroup]) -> str:
    """The figures of a plot in words."""
    return "; ".join(f"{group.label} {group.text}" for group in groups) + "."


def _meanings(report: Mapping[str, Any]) -> dict[str, str]:
    """Model -> what it is, as the context says."""
    found = {}
    for line in report["context"].get("models", ()):
        for model in report["models"]:
            if str(line).startswith(f"{model}: "):
                found[model] = str(line).removeprefix(f"{model}: ")
    return found
