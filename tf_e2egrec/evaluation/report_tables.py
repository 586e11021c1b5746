"""A report as tables, for the terminal and in Markdown. Both show the same cells."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from tf_e2egrec.evaluation.sheet import (
    Sheet,
    markdown_cell,
    markdown_lines,
    mean_and_spread,
    number,
    rich_table,
)

METRIC_TITLES = {
    "auc": "AUC",
    "gauc": "GAUC",
    "logloss": "log loss",
    "ndcg@10": "NDCG@10",
    "stay_mae": "stay MAE [s]",
    "xauc": "XAUC",
}
NOTES = (
    "Mean ± sample standard deviation over seeds. GAUC and NDCG@10 group by (user, day); GAUC "
    "weighs groups by impressions and leaves out groups without both classes; XAUC is the "
    "share of correctly ordered pairs of stays."
)
NOISE_NOTE = "(≈): within two standard errors of the paired difference, that is, no difference was seen."


def render_report(report: Mapping[str, Any]) -> Group:
    """Rich tables of a report: models by metrics, gains, AUC per day; the regime is in each title.

    Args:
      report: what `build_report` returned, or the same read back from `report.json`.
    """
    return on_terminal(_sheets(report), report_notes(report))


def render_markdown(report: Mapping[str, Any]) -> str:
    """The same tables, and the whole context, as Markdown text."""
    return in_markdown("Evaluation", report["context"], _sheets(report), report_notes(report))


def on_terminal(sheets: list[Sheet], notes: list[str]) -> Group:
    """Rich tables, then the notes."""
    return Group(*(rich_table(sheet) for sheet in sheets), *(Text(note, style="dim") for note in notes))


def in_markdown(what: str, context: Mapping[str, Any], sheets: list[Sheet], notes: list[str]) -> str:
    """A document of tables and notes under the whole context."""
    protocol = f", protocol {context['protocol']}" if context.get("protocol") else ""
    lines = [f"# {what} on {context['dataset']}, regime {context['regime']}{protocol}", ""]
    lines += [f"- {name}: {markdown_cell(value)}" for name, value in context.items()]
    for sheet in sheets:
        lines += markdown_lines(sheet)
    for note in notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _sheets(report: Mapping[str, Any]) -> list[Sheet]:
    sheets = [metrics_sheet(report)]
    if any(one["gain"] for one in report["models"].values()):
        sheets.append(gains_sheet(report))
    return [*sheets, days_sheet(report)]


def where(report: Mapping[str, Any]) -> str:
    """Data set, regime, protocol and number of seeds: part of each title."""
    numbers = sorted({len(one["seeds"]) for one in report["models"].values()})
    seeds = "-".join(str(n) for n in dict.fromkeys((numbers[0], numbers[-1])))
    context = report["context"]
    protocol = f"{context['protocol']}, " if context.get("protocol") else ""
    plural = "" if seeds == "1" else "s"
    return f"{context['dataset']}, regime {context['regime']}, {protocol}{seeds} seed{plural}"


def metrics_sheet(report: Mapping[str, Any], day: str | None = None) -> Sheet:
    """Models by metrics, of all test rows or of one day's."""
    models = report["models"]
    values = {name: one["overall"] if day is None else one["days"][day] for name, one in models.items()}
    shown = [
        metric
        for metric in METRIC_TITLES
        if any(number(one[metric]["mean"]) is not None for one in values.values())
    ]
    rows = [
        [name, str(len(models[name]["seeds"]))] + [mean_and_spread(one[metric]) for metric in shown]
        for name, one in values.items()
    ]
    counts = report["counts"]["overall"] if day is None else report["counts"]["days"][day]
    of_day = f"{day}, " if day is not None else ""
    title = (
        f"{where(report)}: {of_day}{counts['impressions']:,} impressions, {counts['positives']:,} positives"
    )
    return Sheet(title, ["model", "seeds"] + [METRIC_TITLES[metric] for metric in shown], rows)


def gains_sheet(report: Mapping[str, Any]) -> Sheet:
    """Every model against the baseline."""
    rows = []
    for name, one in report["models"].items():
        gain = one["gain"]
        if gain is None:
            continue
        noise = " (≈)" if gain["within_noise"] else ""
        rows.append(
            [
                name,
                mean_and_spread(gain["auc"], sign="+") + noise,
                mean_and_spread(gain["auc_relative"], sign="+", percent=True),
                mean_and_spread(gain["auc_above_chance"], sign="+", percent=True),
                mean_and_spread(gain["gauc"], sign="+"),
                mean_and_spread(gain["stay_mae"], sign="+"),
                mean_and_spread(gain["xauc"], sign="+"),
            ]
        )
    columns = ["model", "ΔAUC", "ΔAUC / AUC", "ΔAUC / (AUC - 0.5)", "ΔGAUC", "Δstay MAE [s]", "ΔXAUC"]
    return Sheet(f"{where(report)}: gain over {report['baseline']}", columns, rows)


def days_sheet(report: Mapping[str, Any]) -> Sheet:
    """The AUC of every model on each day."""
    models = report["models"]
    rows = [
        [day, f"{counts['impressions']:,}"]
        + [mean_and_spread(one["days"][day]["auc"]) for one in models.values()]
        for day, counts in report["counts"]["days"].items()
    ]
    return Sheet(f"{where(report)}: AUC per day", ["day", "impressions", *models], rows)


def relative_gains_sheet(report: Mapping[str, Any], gain: str, title: str) -> Sheet | None:
    """The relative gain of AUC over the baseline on each day, and its mean over the days.

    Args:
      report: what `build_report` returned.
      gain: `auc_relative` or `auc_above_chance`.
      title: what the gain is called.

    Returns:
      None where there is no gain, or the report was made before gains per day were.
    """
    gains = {name: one["day_gains"][gain] for name, one in report["models"].items() if one.get("day_gains")}
    if not gains:
        return None
    rows = [
        [day, *(mean_and_spread(one["days"][day], sign="+", percent=True) for one in gains.values())]
        for day in report["counts"]["days"]
    ]
    rows.append(
        [
            "mean of the days",
            *(mean_and_spread(one["mean"], sign="+", percent=True) for one in gains.values()),
        ]
    )
    return Sheet(f"{where(report)}: {title} over {report['baseline']} per day", ["day", *gains], rows)


def report_notes(report: Mapping[str, Any]) -> list[str]:
    """What the figures mean, in sentences."""
    coverage = [number(one["overall"]["gauc_coverage"]["mean"]) for one in report["models"].values()]
    covered = coverage[0]
    notes = [NOTES + (f" GAUC covers {covered:.1%} of the impressions." if covered is not None else "")]
    if any(one["gain"] and one["gain"]["within_noise"] for one in report["models"].values()):
        notes.append(NOISE_NOTE)
    return notes
