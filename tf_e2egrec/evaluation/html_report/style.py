"""The look of the page: one style sheet, light and dark."""

# Text has a contrast of at least 4.5 to the background, lines and markers of at least 3 (the tests compute it).
LIGHT = {
    "paper": "#ffffff",
    "panel": "#f5f6f8",
    "ink": "#1b1f24",
    "faint": "#57606a",
    "rule": "#d5d9de",
    "link": "#0b57a4",
    "s0": "#1f5fa8",
    "s1": "#b3470b",
    "s2": "#157347",
    "s3": "#7a35b8",
}
DARK = {
    "paper": "#14171a",
    "panel": "#1d2125",
    "ink": "#e8eaed",
    "faint": "#a8b0b9",
    "rule": "#3a4047",
    "link": "#7fb8f2",
    "s0": "#6cb0f5",
    "s1": "#f2a35e",
    "s2": "#5fcf8b",
    "s3": "#c9a6ff",
}
STYLES = 4  # of lines and markers: s0 to s3

_RULES = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:break-word}
a{color:var(--link)}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.5rem 0 .25rem}
p,ul{margin:.5rem 0}
ul{padding-left:1.25rem}
.verdict{font-size:1.15rem;font-weight:600}
.note,figcaption .where,caption .where{color:var(--faint);font-size:.875rem;font-weight:400}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1rem}
nav a{display:inline-block;padding:.25rem 0}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);gap:.15rem 1rem;margin:.75rem 0}
dt{color:var(--faint)}
dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.75rem 0;border:1px solid var(--rule);border-radius:4px}
.scroll:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:1px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;min-width:100%}
caption{text-align:left;padding:.5rem .6rem;font-weight:600}
caption span,figcaption span{display:block}
caption span{position:sticky;left:.6rem;width:max-content;max-width:calc(100vw - 3.5rem)}
th,td{padding:.3rem .6rem;text-align:right;white-space:nowrap;border-top:1px solid var(--rule);vertical-align:top}
th{background:var(--panel);font-weight:600}
thead th{white-space:normal;vertical-align:bottom}
th:first-child{text-align:left;position:sticky;left:0}
th.long{white-space:normal;overflow-wrap:anywhere;min-width:11rem}
td.text,th.text{text-align:left;white-space:normal;min-width:12rem}
td .interval{display:block;color:var(--faint)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem 1.5rem;margin:.75rem 0}
figure{margin:0;max-width:30rem}
figcaption{font-size:.9rem;font-weight:600;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:var(--ink);font-family:inherit;}
svg .faint{fill:var(--faint)}
svg .grid{stroke:var(--rule);stroke-width:1}
svg .axis{stroke:var(--faint);stroke-width:1}
svg .zero{stroke:var(--faint);stroke-width:1.5;stroke-dasharray:3 3}
svg .line{fill:none;stroke:currentColor;stroke-width:2}
svg .mark{fill:currentColor;stroke:currentColor;stroke-width:1.5}
svg .hollow{fill:var(--paper);stroke:currentColor;stroke-width:1.5}
.s0{color:var(--s0)}
.s1{color:var(--s1)}
.s2{color:var(--s2)}
.s3{color:var(--s3)}
details{margin:.5rem 0}
summary{cursor:pointer;padding:.25rem 0;color:var(--link)}
pre{overflow-x:auto;padding:.75rem;background:var(--panel);border:1px solid var(--rule);border-radius:4px;font-size:.8125rem}
@media (max-width:32rem){
 body{padding:.75rem}
 tbody th{white-space:normal;overflow-wrap:anywhere;min-width:7.25rem;max-width:8.5rem}
 tbody th.long{min-width:8.5rem;max-width:8.5rem}
 th.text,tbody th.text{min-width:10rem;max-width:11rem}
 dl{grid-template-columns:minmax(5rem,max-content) minmax(0,1fr);gap:.25rem .75rem}
}
@media print{nav{display:none}.scroll{overflow:visible}}
"""


def style_sheet() -> str:
    """The whole CSS."""
    dark = "@media (prefers-color-scheme:dark){" + _variables(DARK) + "}"
    return _variables(LIGHT) + dark + _RULES


def _variables(colours: dict[str, str]) -> str:
    return ":root{" + "".join(f"--{name}:{colour};" for name, colour in colours.items()) + "}"
