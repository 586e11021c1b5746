"""What the explorer's pages are made of."""

import datetime
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.style import style_sheet
from tf_e2egrec.evaluation.html_report.tables import note

_RULES = """
form{display:flex;flex-wrap:wrap;gap:.5rem;margin:.5rem 0}
label{align-self:center;min-width:3rem}
input,button{font:inherit;padding:.35rem .6rem;color:inherit;background:var(--panel);border:1px solid var(--rule);border-radius:4px}
input{min-width:0;flex:1 1 9rem;max-width:20rem}
button{cursor:pointer}
td.bars,th.bars{text-align:left}
:root{--bar:8rem}
@media (max-width:32rem){:root{--bar:3rem}}
td .where{color:var(--faint)}
input:focus-visible,button:focus-visible{outline:2px solid var(--link);outline-offset:1px}
.bar{display:inline-block;height:.7rem;background:var(--s0);vertical-align:middle;min-width:1px}
.up{color:var(--s2)}
.down{color:var(--s1)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:0 1rem;align-items:start}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
"""
BARS = ("weight", "events", "share")  # headings of columns that hold bars


def document(title: str, *body: object) -> str:
    """A whole page, with the search forms on top."""
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} - explore"),
        tag("style", Markup(style_sheet() + _RULES)),
    )
    search = tag(
        "nav", tag("a", "overview", href="/"), search_form("item"), search_form("user"), aria_label="Search"
    )
    inside = joined(search, tag("main", tag("h1", title), *body))
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', inside), lang='en')}\n"


def search_form(kind: str) -> Markup:
    """Asks for an item or a user by its id."""
    field = tag(
        "input",
        name="id",
        id=f"{kind}-id",
        required="required",
        autocomplete="off",
        placeholder="id",
    )
    label = tag("label", kind, for_=f"{kind}-id")
    return tag("form", label, field, tag("button", "show"), action=f"/{kind}", method="get")


def link(kind: str, text: str, label: str | None = None, **query: object) -> Markup:
    """To the page of an item or a user; shown is its id, or the label."""
    return tag("a", label or text, href=f"/{kind}?{urlencode({'id': text, **query})}")


def grid(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[str] = ()
) -> Markup:
    """A table that scrolls within its own frame; columns in `texts` are words."""

    def kind(name: str) -> str | None:
        return "text" if name in texts else "bars" if name in BARS else None

    heads = (tag("th", name, scope="col", class_=kind(name)) for name in columns)
    lines = []
    for first, *others in rows:
        cells = (tag("td", cell, class_=kind(name)) for name, cell in zip(columns[1:], others, strict=True))
        lines.append(tag("tr", tag("th", first, scope="row"), *cells))
    if not lines:
        return note(f"{title}: none.")
    body = tag(
        "table", tag("caption", tag("span", title)), tag("thead", tag("tr", *heads)), tag("tbody", *lines)
    )
    return tag("div", body, class_="scroll", tabindex=0, role="region", aria_label=title)


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Names and values, one below the other."""
    return tag("dl", *(joined(tag("dt", name), tag("dd", value)) for name, value in pairs))


def bar(value: float, largest: float) -> Markup:
    """A bar of a length in proportion; nothing for nothing."""
    if not value:
        return Markup("")
    share = value / largest if largest else 0.0
    return tag("span", class_="bar", style=f"width:calc(var(--bar)*{share:.3f})")


def moment(time: int, is_rank: bool) -> str:
    """A time in words: UTC to the second, or the place within the user's rows."""
    if is_rank:
        return f"{time / 1e9:.1%} of the user's rows"
    return datetime.datetime.fromtimestamp(time / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
