"""What tuning tried and chose, as a table."""

from collections.abc import Mapping
from typing import Any

from tf_e2egrec.evaluation.report_tables import where
from tf_e2egrec.evaluation.sheet import MISSING, Sheet


def tuning_sheets(report: Mapping[str, Any]) -> list[Sheet]:
    """One table of every tried setting with its validation AUC; none where nothing was tuned.

    Args:
      report: of a comparison; `tuning`, if any, is what `tuning_report` returned.
    """
    tuning = report.get("tuning")
    if not tuning:
        return []
    rows = [
        [
            label,
            *(str(one["settings"][key]) for key in tuning["keys"]),
            MISSING if one["valid_auc"] is None else f"{one['valid_auc']:.4f}",
            "chosen" if one["settings"] == of_model["chosen"] else "",
        ]
        for label, of_model in tuning["models"].items()
        for one in of_model["tried"]
    ]
    title = f"{where(report)}: tuning (validation only), seed {tuning['seed']}"
    return [Sheet(title, ["model", *tuning["keys"], "validation AUC", ""], rows)]
