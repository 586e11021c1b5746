"""`Line` and the charts made of lines."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tf_e2egrec.evaluation.html_report.axis import Axis, tick_text
from tf_e2egrec.evaluation.html_report.marks import WIDTH, dashes, legend, mark, style_class, svg
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag

_LEFT, _RIGHT, _PLOT, _BELOW = 48.0, 18.0, 160.0, 38.0
_MOST_MARKERS = 25  # more would hide the line


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
      name: for the legend; lines of one name (such as two seeds) have one entry.
      x, y: its points; None and NaN leave a gap.
      style: 0 to 3.
    """

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    style: int = 0


def line_chart(
    lines: Sequence[Line],
    label: str,
    x_title: str,
    y_title: str,
    *,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    whole_x: bool = False,
    diagonal: bool = False,
) -> Markup:
    """Lines over numbers, with axes and a legend.

    Args:
      lines: what to draw.
      label: says in words what is shown.
      x_title, y_title: of the axes.
      x_range, y_range: lowest and highest value, for charts that are compared; of these lines when absent.
      whole_x: x is a count, so its ticks are whole numbers.
      diagonal: draw y = x, and give both axes one range.

    Returns:
      An SVG element.
    """
    entries = list(dict.fromkeys((line.name, line.style) for line in lines))
    legend_drawn, above = legend(entries, lines=True)
    top = above + 22
    bottom = top + (_PLOT if not diagonal else WIDTH - _LEFT - _RIGHT)
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in line.y]
    if diagonal:
        xs = ys = [0.0, *xs, *ys]
    x_axis = Axis.around(xs if x_range is None else x_range, _LEFT, WIDTH - _RIGHT)
    y_axis = Axis.around(ys if y_range is None else y_range, bottom, top)
    drawn = [legend_drawn, tag("text", y_title, x=0, y=round(above + 13), class_="faint")]
    drawn += [_frame(x_axis, y_axis, x_title, whole_x)]
    if diagonal:
        low, high = x_axis.low, x_axis.high
        ends = {"x1": x_axis.at(low), "y1": y_axis.at(low), "x2": x_axis.at(high), "y2": y_axis.at(high)}
        drawn.append(tag("line", **ends, class_="zero"))
    drawn += [_line(line, x_axis, y_axis) for line in lines]
    return svg(label, bottom + _BELOW, *drawn)


def _frame(x_axis: Axis, y_axis: Axis, x_title: str, whole_x: bool) -> Markup:
    top, bottom = y_axis.end, y_axis.start
    drawn = []
    y_ticks = y_axis.ticks()
    for value in y_ticks:
        y = y_axis.at(value)
        drawn.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(
            tag("text", tick_text(value, y_ticks), x=_LEFT - 6, y=y + 4, text_anchor="end", class_="faint")
        )
    x_ticks = x_axis.ticks_of_whole_numbers() if whole_x else x_axis.ticks()
    for value in x_ticks:
        x = x_axis.at(value)
        drawn.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        text = f"{value:,.0f}" if whole_x else tick_text(value, x_ticks)
        drawn.append(tag("text", text, x=x, y=bottom + 17, text_anchor="middle", class_="faint"))
    drawn.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    drawn.append(tag("line", x1=_LEFT, x2=_LEFT, y1=top, y2=bottom, class_="axis"))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    drawn.append(tag("text", x_title, x=middle, y=bottom + 32, text_anchor="middle", class_="faint"))
    return joined(*drawn)


def _line(line: Line, x_axis: Axis, y_axis: Axis) -> Markup:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if x is None or y is None or not math.isfinite(x + y):
            pieces.append([])
        else:
            pieces[-1].append((x_axis.at(x), y_axis.at(y)))
    drawn = [
        tag(
            "polyline",
            points=" ".join(f"{x:.1f},{y:.1f}" for x, y in piece),
            class_="line",
            stroke_dasharray=dashes(line.style),
        )
        for piece in pieces
        if len(piece) > 1
    ]
    points = [point for piece in pieces for point in piece]
    if len(points) <= _MOST_MARKERS:
        drawn += [mark(x, y, line.style, size=3.0) for x, y in points]
    return tag("g", *drawn, class_=style_class(line.style))
