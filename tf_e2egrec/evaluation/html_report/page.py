"""The page: a function of `report.json` alone."""

from collections.abc import Mapping
from typing import Any

from tf_e2egrec.evaluation.html_report import result_sections as results
from tf_e2egrec.evaluation.html_report import training_sections as training
from tf_e2egrec.evaluation.html_report.headline import findings, verdict
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.section import Section
from tf_e2egrec.evaluation.html_report.style import style_sheet
from tf_e2egrec.evaluation.html_report.tables import folded
from tf_e2egrec.evaluation.report_tables import where

# Nothing may be loaded, whatever a text of the report holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_IN_TITLE = ("dataset", "regime", "protocol", "models")
_SECTIONS = (
    results.comparison,
    results.differences,
    results.days,
    training.learning,
    training.weights,
    training.calibration,
    results.slices,
    results.stay,
    results.ablations,
    training.tuning,
    training.leaks,
    training.costs,
    training.configuration,
)


def comparison_page(report: Mapping[str, Any]) -> str:
    """The whole report as one HTML document without scripts and without anything from outside.

    Args:
      report: what was read from `report.json`; keys that an earlier version did not write may be absent.

    Returns:
      The document; equal reports give equal texts.
    """
    sections = [section(report) for section in _SECTIONS]
    title = f"Comparison on {where(report)}"
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(style_sheet())),
    )
    links = (tag("li", tag("a", one.title, href=f"#{one.name}")) for one in sections)
    body = joined(
        _header(report),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", *map(_section, sections)),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _header(report: Mapping[str, Any]) -> Markup:
    context, counts = report["context"], report["counts"]
    overall = counts["overall"]
    seeds = sorted({seed for one in report["models"].values() for seed in one["seeds"]})
    facts = {
        "data set": context["dataset"],
        "regime": context["regime"],
        "protocol": context.get("protocol") or "-",
        "seeds": ", ".join(map(str, seeds)),
        "models": ", ".join(report["models"]),
        "test rows": f"{overall['impressions']:,}, {overall['positives']:,} positive, {overall['stay_rows']:,} with a stay",
        "test days": ", ".join(counts["days"]),
    }
    circumstances = {
        name.replace("_", " "): value for name, value in context.items() if name not in _IN_TITLE
    }
    return tag(
        "header",
        tag("h1", f"Does the graph help? {context['dataset']}, regime {context['regime']}"),
        tag("p", verdict(report), class_="verdict"),
        tag("ul", *(tag("li", line) for line in findings(report))),
        _listed(facts),
        folded("machine, versions and the like", _listed(circumstances)),
    )


def _listed(facts: Mapping[str, object]) -> Markup:
    return tag("dl", *(joined(tag("dt", name), tag("dd", value)) for name, value in facts.items()))


def _section(section: Section) -> Markup:
    heading = tag("h2", section.title, id=f"{section.name}-title")
    return tag("section", heading, section.body, id=section.name, aria_labelledby=f"{section.name}-title")
