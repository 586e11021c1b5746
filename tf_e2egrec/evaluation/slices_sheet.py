"""Where the gain lies, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from tf_e2egrec.evaluation.report_tables import where
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, difference_text, mean_and_spread

_TITLES = {
    "item_age": "item age",
    "item_popularity": "item popularity",
    "user_activity": "user activity",
    "neighbours": "neighbours of the item",
}
_NOTE = (
    "Item age is the time since the item's first event in any log; popularity and activity count the events on the item and of "
    "the user, of the ranker's rows and the graph's, strictly before the impression; neighbours are those of the item in the "
    "snapshot that serves the impression ({graph} graph). AUC ranks the rows of a bin among themselves."
)


def slices_sheets(report: Mapping[str, Any], dimensions: Sequence[str] | None = None) -> list[Sheet]:
    """Per dimension, models by bins, and the paired differences by bins.

    Args:
      report: what `build_comparison` returned; one without slices has no tables.
      dimensions: some of them; all when absent.
    """
    sheets = []
    for dimension, bins in report.get("slices", {}).get("dimensions", {}).items():
        if bins and (dimensions is None or dimension in dimensions):
            name = _TITLES.get(dimension, dimension)
            sheets.append(_auc_sheet(report, name, bins))
            if report["differences"]["overall"]:
                sheets.append(_differences_sheet(report, name, bins))
    return sheets


def slices_notes(report: Mapping[str, Any]) -> list[str]:
    """What the dimensions mean, where there are any."""
    slices = report.get("slices")
    return [_NOTE.format(graph=slices["graph"])] if slices else []


def _auc_sheet(report: Mapping[str, Any], name: str, bins: Sequence[Mapping[str, Any]]) -> Sheet:
    models = list(report["models"])
    rows = [
        [one["bin"], f"{one['rows']:,}", f"{one['positives']:,}"]
        + [mean_and_spread(one["auc"][model]) if model in one["auc"] else MISSING for model in models]
        for one in bins
    ]
    columns = [name, "rows", "positives", *models]
    if any(one["left_out"] for one in bins):
        columns.append("left out")
        rows = [[*row, one["left_out"] or ""] for row, one in zip(rows, bins, strict=True)]
    return Sheet(f"{where(report)}: AUC by {name}", columns, rows)


def _differences_sheet(report: Mapping[str, Any], name: str, bins: Sequence[Mapping[str, Any]]) -> Sheet:
    reference, others = report["reference"], list(report["differences"]["overall"])
    rows = [
        [one["bin"], f"{one['rows']:,}"]
        + [
            difference_text(found[other]) if other in (found := one["differences"]) else MISSING
            for other in others
        ]
        for one in bins
    ]
    title = f"{where(report)}: paired differences of AUC by {name}, 95 % intervals over users"
    return Sheet(title, [name, "rows", *(f"{reference} - {other}" for other in others)], rows)
