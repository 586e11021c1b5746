"""Markers and legends of the charts: a style differs from another by colour, shape and dashes."""

from collections.abc import Sequence

from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.style import STYLES

WIDTH = 340  # of every chart, in SVG units: about the pixels of a phone, so that texts keep their size there
LEGEND_LINE = 18
_LETTER = 6.6  # the usual width of a letter, to wrap legends
_SWATCH = 26
_MOST_LETTERS = 44  # of a name
_DASHES = (None, "6 3", "2 3", "8 3 2 3")


def style_class(style: int) -> str:
    """The class that gives a mark its colour."""
    return f"s{style % STYLES}"


def dashes(style: int) -> str | None:
    """The value of `stroke-dasharray`."""
    return _DASHES[style % STYLES]


def mark(x: float, y: float, style: int, *, hollow: bool = False, size: float = 4.0) -> Markup:
    """A circle, square, diamond or triangle around a place."""
    class_ = "hollow" if hollow else "mark"
    shape = style % STYLES
    if shape == 0:
        return tag("circle", cx=x, cy=y, r=size, class_=class_)
    corners = {
        1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        2: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        3: ((0, -1.2), (1.2, 1), (-1.2, 1)),
    }[shape]
    path = "L".join(f"{x + size * right:.1f} {y + size * down:.1f}" for right, down in corners)
    return tag("path", d=f"M{path}Z", class_=class_)


def legend(entries: Sequence[tuple[str, int]], *, lines: bool) -> tuple[Markup, float]:
    """What each style means, in as many lines as needed.

    Args:
      entries: name and style.
      lines: whether the chart has lines, which are shown beside the marker.

    Returns:
      The drawing, and its height; nothing for a single entry without a name.
    """
    if not any(name for name, _ in entries):
        return Markup(), 0.0
    drawn, x, y = [], 0.0, LEGEND_LINE / 2
    for whole, style in entries:
        name = whole if len(whole) <= _MOST_LETTERS else whole[: _MOST_LETTERS - 1] + "…"
        width = _SWATCH + _LETTER * len(name) + 12
        if x and x + width > WIDTH:
            x, y = 0.0, y + LEGEND_LINE
        swatch = [mark(x + 10, y, style)]
        if lines:
            swatch.insert(
                0,
                tag("line", x1=x, x2=x + 20, y1=y, y2=y, class_="line", stroke_dasharray=dashes(style)),
            )
        drawn += [tag("g", *swatch, class_=style_class(style)), tag("text", name, x=x + _SWATCH, y=y + 4)]
        x += width
    return joined(*drawn), y + LEGEND_LINE / 2


def svg(label: str, height: float, *content: object) -> Markup:
    """A drawing with a text for those who cannot see it."""
    view = f"0 0 {WIDTH} {height:.0f}"
    return tag("svg", *content, viewBox=view, role="img", aria_label=label, width=WIDTH, height=round(height))
