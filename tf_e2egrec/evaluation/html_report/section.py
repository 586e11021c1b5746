"""`Section`: one part of the page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tf_e2egrec.evaluation.html_report.headline import controls_of
from tf_e2egrec.evaluation.html_report.markup import Markup
from tf_e2egrec.evaluation.html_report.tables import note

MOST_SERIES = 4


class Section(NamedTuple):
    """What stands under one heading.

    Attributes:
      name: of the link to it.
      title: its heading.
      body: what follows; never empty.
    """

    name: str
    title: str
    body: Markup


def not_recorded(what: str) -> Markup:
    """Said where an older version wrote `report.json`."""
    return note(
        f"This report.json holds no {what}: an earlier version wrote it. `e2egrec compare` again adds them."
    )


def shown_against(report: Mapping[str, Any]) -> list[str]:
    """The models that charts hold the reference against: the controls, else the first of the others."""
    return (controls_of(report) or list(report["differences"]["overall"]))[:MOST_SERIES]


def in_front(report: Mapping[str, Any]) -> list[str]:
    """The models whose own charts are shown at once; those of the others are folded away."""
    front = {report["reference"], *shown_against(report)}
    return [model for model in report["models"] if model in front]
