"""Tables of text that look alike on the terminal and in Markdown."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

MISSING = "-"


class Sheet(NamedTuple):
    """One table: title, column names and rows of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def rich_table(sheet: Sheet) -> Table:
    """The sheet for a terminal; no markup is read in its texts."""
    table = Table(title=Text(sheet.title), title_justify="left")
    for number, name in enumerate(sheet.columns):
        # A narrow terminal breaks a figure rather than hide a part of it.
        table.add_column(Text(name), justify="left" if number == 0 else "right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def markdown_lines(sheet: Sheet) -> list[str]:
    """The sheet under a heading of its own, after an empty line."""
    lines = ["", f"## {sheet.title}", "", _line(sheet.columns)]
    lines.append(_line(["---"] + ["---:"] * (len(sheet.columns) - 1)))
    return lines + [_line([markdown_cell(cell) for cell in row]) for row in sheet.rows]


def markdown_cell(value: object) -> str:
    """Text that cannot break a Markdown table or list."""
    return str(value).replace("\n", " ").replace("|", "\\|")


def number(value: float | None) -> float | None:
    """The value, or None for NaN and for the null it becomes in JSON."""
    return None if value is None or math.isnan(value) else value


def mean_and_spread(spread: Mapping[str, Any], sign: str = "", percent: bool = False) -> str:
    """`0.7925 ± 0.0008`; without the deviation where there is none."""
    mean, deviation = number(spread["mean"]), number(spread["std"])
    if mean is None:
        return MISSING
    scale, digits, unit = (100.0, 2, " %") if percent else (1.0, 4, "")
    text = f"{mean * scale:{sign}.{digits}f}"
    if deviation is not None:
        text += f" ± {deviation * scale:.{digits}f}"
    return text + unit


def difference_text(one: Mapping[str, Any]) -> str:
    """A paired difference: `+0.0075 [+0.0061, +0.0089] ± 0.0005`, without interval or error where there is none."""
    difference, low, high, error = (number(one[name]) for name in ("difference", "low", "high", "seed_error"))
    if difference is None:
        return MISSING
    text = f"{difference:+.4f}"
    if low is not None and high is not None:
        text += f" [{low:+.4f}, {high:+.4f}]"
    return text if error is None else f"{text} ± {error:.4f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
