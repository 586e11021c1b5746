"""`IntervalGroup` and the plot of differences with their intervals."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from tf_e2egrec.evaluation.html_report.axis import Axis, tick_text
from tf_e2egrec.evaluation.html_report.marks import WIDTH, legend, mark, style_class, svg
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag

_SIDE, _TEXT_LINE, _MARK_LINE, _BELOW = 28.0, 17.0, 14.0, 36.0
_LETTERS = 50  # that a line of text holds

Interval = tuple[float | None, float | None, float | None]


class IntervalGroup(NamedTuple):
    """What stands under one label.

    Attributes:
      label: on the left, such as the other model, or a bin.
      text: on the right, such as the figures.
      intervals: difference, low end and high end of each series; None where the series has none.
    """

    label: str
    text: str
    intervals: Sequence[Interval | None]


def interval_plot(groups: Sequence[IntervalGroup], series: Sequence[str], label: str, x_title: str) -> Markup:
    """Points with whiskers around a line at zero; a point is hollow where its interval holds zero.

    Args:
      groups: from top to bottom.
      series: what each of a group's intervals is; one without a name has no legend.
      label: says in words what is shown.
      x_title: of the axis.

    Returns:
      An SVG element.
    """
    legend_drawn, y = legend([(name, style) for style, name in enumerate(series)], lines=False)
    values = [value for group in groups for one in group.intervals if one for value in one]
    axis = Axis.around([0.0, *values], _SIDE, WIDTH - _SIDE)
    drawn, bands, y = [], [], y + 4
    for group in groups:
        texts, below = _texts(group, y)
        drawn.append(texts)
        y += below
        begin = y
        for style, one in enumerate(group.intervals):
            if one is not None:
                drawn.append(_whiskers(one, axis, y + _MARK_LINE / 2, style))
                y += _MARK_LINE
        bands.append((begin, y))
        y += 4
    return svg(label, y + _BELOW, legend_drawn, _frame(axis, bands, y, x_title), *drawn)


def holds_zero(one: Interval) -> bool:
    """Whether zero lies within the interval, or there is no interval."""
    _, low, high = one
    return low is None or high is None or low <= 0 <= high


def _texts(group: IntervalGroup, y: float) -> tuple[Markup, float]:
    """The label and the figures, on one line where they fit, and the height of it all."""
    lines = textwrap.wrap(group.label, _LETTERS) or [""]
    drawn = [tag("text", line, x=0, y=y + 13 + place * _TEXT_LINE) for place, line in enumerate(lines)]
    count = len(lines) + (len(lines[-1]) + len(group.text) + 2 > _LETTERS)
    at = y + 13 + (count - 1) * _TEXT_LINE
    drawn.append(tag("text", group.text, x=WIDTH, y=at, text_anchor="end", class_="faint"))
    return joined(*drawn), count * _TEXT_LINE


def _whiskers(one: Interval, axis: Axis, y: float, style: int) -> Markup:
    difference, low, high = one
    drawn = []
    if low is not None and high is not None:
        drawn.append(tag("line", x1=axis.at(low), x2=axis.at(high), y1=y, y2=y, class_="line"))
        for end in (low, high):
            drawn.append(tag("line", x1=axis.at(end), x2=axis.at(end), y1=y - 3, y2=y + 3, class_="line"))
    if difference is not None and math.isfinite(difference):
        drawn.append(mark(axis.at(difference), y, style, hollow=holds_zero(one)))
    return tag("g", *drawn, class_=style_class(style))


def _frame(axis: Axis, bands: Sequence[tuple[float, float]], bottom: float, x_title: str) -> Markup:
    """Ticks, and vertical lines where the whiskers are: they would cross out the texts between."""
    values = axis.ticks()
    drawn = []
    for value in values:
        x = axis.at(value)
        drawn.append(_verticals(x, bands, "grid"))
        sign = "+" if value > 0 else ""
        text = f"{sign}{tick_text(value, values)}"
        drawn.append(tag("text", text, x=x, y=bottom + 15, text_anchor="middle", class_="faint"))
    drawn.append(_verticals(axis.at(0.0), bands, "zero"))
    drawn.append(tag("text", x_title, x=WIDTH / 2, y=bottom + 31, text_anchor="middle", class_="faint"))
    return joined(*drawn)


def _verticals(x: float, bands: Sequence[tuple[float, float]], class_: str) -> Markup:
    return tag("path", d="".join(f"M{x:.1f} {top:.1f}V{end:.1f}" for top, end in bands), class_=class_)
