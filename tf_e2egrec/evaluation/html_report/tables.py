"""Tables of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from tf_e2egrec.evaluation.html_report.markup import Markup, tag
from tf_e2egrec.evaluation.report_tables import where
from tf_e2egrec.evaluation.sheet import Sheet

_LONG = 24  # letters of a heading that stays on one line


def table(report: Mapping[str, Any], sheet: Sheet, texts: Sequence[str] = ()) -> Markup:
    """A sheet as a table that scrolls within its own frame.

    Args:
      report: whose data set, regime, protocol and seeds stand in the caption.
      sheet: with or without these in its title.
      texts: columns of words, which are set to the left and wrapped.
    """
    title = sheet.title.removeprefix(f"{where(report)}: ")
    caption = tag("caption", tag("span", title), tag("span", where(report), class_="where"))
    heads = (tag("th", name, scope="col", class_=_head_class(name, texts)) for name in sheet.columns)
    head = tag("thead", tag("tr", *heads))
    words_first = sheet.columns[0] in texts
    rows = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_="text" if words_first else _head_class(row[0])),
            *(
                tag("td", _cell(cell), class_="text" if name in texts else None)
                for name, cell in zip(sheet.columns[1:], row[1:], strict=True)
            ),
        )
        for row in sheet.rows
    ]
    body = tag("table", caption, head, tag("tbody", *rows))
    return tag("div", body, class_="scroll", tabindex=0, role="region", aria_label=title)


def folded(summary: str, *content: object) -> Markup:
    """Content that is shown when asked for."""
    return tag("details", tag("summary", summary), *content)


def figure(title: str, chart: Markup, where_from: str = "") -> Markup:
    """A chart under its title."""
    lines = [tag("span", title)] + ([tag("span", where_from, class_="where")] if where_from else [])
    return tag("figure", tag("figcaption", *lines), chart)


def note(*content: object) -> Markup:
    """A sentence in small print."""
    return tag("p", *content, class_="note")


def _head_class(text: str, texts: Sequence[str] = ()) -> str | None:
    """Names as long as those of models with settings may be broken anywhere."""
    if text in texts:
        return "text"
    return "long" if len(text) > _LONG else None


def _cell(text: str) -> Markup | str:
    """A difference is set in two lines, its interval under it, so that tables stay narrow."""
    difference, bracket, interval = text.partition(" [")
    if not bracket or not difference.startswith(("+", "-")):
        return text
    return Markup(tag("span", difference) + tag("span", f"[{interval}", class_="interval"))
