"""A report as tables, for the terminal and in Markdown. Both show the same cells."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

_COLUMNS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "logloss": "log loss",
    "ndcg@10": "NDCG@10",
    "stay_mae": "stay MAE [s]",
    "xauc": "XAUC",
}
_MISSING = "-"
_NOTES = (
    "Mean ± sample standard deviation over seeds. GAUC and NDCG@10 group by (user, day); GAUC "
    "weighs groups by impressions and leaves out groups without both classes; XAUC is the "
    "share of correctly ordered pairs of stays."
)
_NOISE_NOTE = "(≈): within two standard errors of the paired difference, that is, no difference was seen."


class _Sheet(NamedTuple):
    """One table: title, column names and rows of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def render_report(report: Mapping[str, Any]) -> Group:
    """Rich tables of a report: models by metrics, gains, AUC per day; the regime is in each title.

    Args:
      report: what `build_report` returned, or the same read back from `report.json`.
    """
    parts: list[Table | Text] = []
    for sheet in _sheets(report):
        table = Table(title=Text(sheet.title), title_justify="left")  # Text: no markup is read in names
        for number, name in enumerate(sheet.columns):
            table.add_column(Text(name), justify="left" if number == 0 else "right")
        for row in sheet.rows:
            table.add_row(*(Text(cell) for cell in row))
        parts.append(table)
    parts += [Text(note, style="dim") for note in _notes(report)]
    return Group(*parts)


def render_markdown(report: Mapping[str, Any]) -> str:
    """The same tables, and the whole context, as Markdown text."""
    context = report["context"]
    lines = [f"# Evaluation on {context['dataset']}, regime {context['regime']}", ""]
    lines += [f"- {name}: {_cell(value)}" for name, value in context.items()]
    for sheet in _sheets(report):
        lines += ["", f"## {sheet.title}", "", _line(sheet.columns)]
        lines.append(_line(["---"] + ["---:"] * (len(sheet.columns) - 1)))
        lines += [_line([_cell(cell) for cell in row]) for row in sheet.rows]
    for note in _notes(report):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _sheets(report: Mapping[str, Any]) -> list[_Sheet]:
    sheets = [_overall(report)]
    if any(one["gain"] for one in report["models"].values()):
        sheets.append(_gains(report))
    return [*sheets, _days(report)]


def _where(report: Mapping[str, Any]) -> str:
    """Data set, regime and number of seeds: part of each title."""
    numbers = sorted({len(one["seeds"]) for one in report["models"].values()})
    seeds = "-".join(str(n) for n in dict.fromkeys((numbers[0], numbers[-1])))
    context = report["context"]
    return f"{context['dataset']}, regime {context['regime']}, {seeds} seed{'' if seeds == '1' else 's'}"


def _overall(report: Mapping[str, Any]) -> _Sheet:
    models = report["models"]
    shown = [
        m for m in _COLUMNS if any(_number(one["overall"][m]["mean"]) is not None for one in models.values())
    ]
    rows = [
        [name, str(len(one["seeds"]))] + [_mean_and_spread(one["overall"][metric]) for metric in shown]
        for name, one in models.items()
    ]
    counts = report["counts"]["overall"]
    title = f"{_where(report)}: {counts['impressions']:,} impressions, {counts['positives']:,} positives"
    return _Sheet(title, ["model", "seeds"] + [_COLUMNS[m] for m in shown], rows)


def _gains(report: Mapping[str, Any]) -> _Sheet:
    rows = []
    for name, one in report["models"].items():
        gain = one["gain"]
        if gain is None:
            continue
        noise = " (≈)" if gain["within_noise"] else ""
        rows.append(
            [
                name,
                _mean_and_spread(gain["auc"], sign="+") + noise,
                _mean_and_spread(gain["auc_relative"], sign="+", percent=True),
                _mean_and_spread(gain["auc_above_chance"], sign="+", percent=True),
                _mean_and_spread(gain["gauc"], sign="+"),
                _mean_and_spread(gain["stay_mae"], sign="+"),
                _mean_and_spread(gain["xauc"], sign="+"),
            ]
        )
    columns = ["model", "ΔAUC", "ΔAUC / AUC", "ΔAUC / (AUC - 0.5)", "ΔGAUC", "Δstay MAE [s]", "ΔXAUC"]
    return _Sheet(f"{_where(report)}: gain over {report['baseline']}", columns, rows)


def _days(report: Mapping[str, Any]) -> _Sheet:
    models = report["models"]
    rows = [
        [day, f"{counts['impressions']:,}"]
        + [_mean_and_spread(one["days"][day]["auc"]) for one in models.values()]
        for day, counts in report["counts"]["days"].items()
    ]
    return _Sheet(f"{_where(report)}: AUC per day", ["day", "impressions", *models], rows)


def _notes(report: Mapping[str, Any]) -> list[str]:
    coverage = [_number(one["overall"]["gauc_coverage"]["mean"]) for one in report["models"].values()]
    covered = coverage[0]
    notes = [_NOTES + (f" GAUC covers {covered:.1%} of the impressions." if covered is not None else "")]
    if any(one["gain"] and one["gain"]["within_noise"] for one in report["models"].values()):
        notes.append(_NOISE_NOTE)
    return notes


def _number(value: float | None) -> float | None:
    """The value, or None for NaN and for the null it becomes in JSON."""
    return None if value is None or math.isnan(value) else value


def _mean_and_spread(spread: Mapping[str, Any], sign: str = "", percent: bool = False) -> str:
    mean, deviation = _number(spread["mean"]), _number(spread["std"])
    if mean is None:
        return _MISSING
    scale, digits, unit = (100.0, 2, " %") if percent else (1.0, 4, "")
    text = f"{mean * scale:{sign}.{digits}f}"
    if deviation is not None:
        text += f" ± {deviation * scale:.{digits}f}"
    return text + unit


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: object) -> str:
    """Text that cannot break a Markdown table or list."""
    return str(value).replace("\n", " ").replace("|", "\\|")
