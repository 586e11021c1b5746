"""`Markup`: text that is HTML or SVG already; every other text is escaped on its way in."""

import html

_EMPTY = ("br", "circle", "col", "line", "link", "meta", "path", "polyline", "rect")


class Markup(str):
    """A piece of HTML or SVG that needs no more escaping."""


def escaped(content: object) -> str:
    """The content as it may stand between tags: `Markup` as it is, anything else with its special characters replaced.

    Example:
      >>> escaped("R5 < R0"), escaped(Markup("<b>R5</b>"))
      ('R5 &lt; R0', '<b>R5</b>')
    """
    return str(content) if isinstance(content, Markup) else html.escape(str(content), quote=True)


def joined(*content: object) -> Markup:
    """Pieces one after the other."""
    return Markup("".join(map(escaped, content)))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """An element.

    Args:
      name: of the element.
      content: of the element, escaped unless it is `Markup`.
      attributes: escaped. An underscore stands for a dash, one at the end (`class_`) for nothing; `None` leaves the attribute out,
        floats (coordinates) get one digit.

    Example:
      >>> tag("td", "a & b", class_="number", colspan=2)
      '<td class="number" colspan="2">a &amp; b</td>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(
            f"<{name}{written}/>" if name not in ("br", "col", "link", "meta") else f"<{name}{written}>"
        )
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value), quote=True)
