"""The report of a comparison: metrics, gains, paired differences, costs."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.calibration import calibration_report
from tf_e2egrec.evaluation.comparison_tables import comparison_markdown
from tf_e2egrec.evaluation.html_report.page import comparison_page
from tf_e2egrec.evaluation.paired_differences import (
    LabelledRows,
    Predicted,
    Predictions,
    paired_differences,
    seed_difference,
)
from tf_e2egrec.evaluation.report import as_json, build_report, evaluate_predictions
from tf_e2egrec.evaluation.row_facts import NO_FACTS, RowFacts
from tf_e2egrec.evaluation.slices import slice_report, slice_steps
from tf_e2egrec.evaluation.stay_baselines import stay_report

COSTS = (
    "parameters",
    "frozen",
    "seconds_per_step",
    "training_seconds",
    "refresh_seconds",
    "peak_memory_mib",
    "peak_gpu_memory_mib",
)
REPORT_FILE, MARKDOWN_FILE, HTML_FILE = "report.json", "report.md", "report.html"
_BASELINE, _REFERENCE = "R0", "R5"


def build_comparison(
    rows: LabelledRows,
    predicted: Predicted,
    context: Mapping[str, Any],
    costs: Mapping[str, Mapping[int, Mapping[str, float | None]]],
    leak_checks: Sequence[Mapping[str, Any]],
    draws: int = 200,
    advance: Callable[[], object] = lambda: None,
    facts: RowFacts = NO_FACTS,
) -> dict[str, Any]:
    """Everything that the tables show.

    Args:
      rows: the labels of the test rows.
      predicted: model -> seed -> predictions of these rows, every model with the same seeds.
      context: `dataset`, `regime`, `protocol`, and anything JSON-able.
      costs: model -> seed -> figure by the names in `COSTS`, None where it is not known.
      leak_checks: what was checked: `check`, `graph`, `looked_at`.
      draws: of the bootstrap.
      advance: called `steps_of(rows, predicted, draws, facts)` times.
      facts: what else is known of the rows.

    Returns:
      The report of `build_report` (gains over R0), and: `reference` (R5, or the last model without it), `differences`
      (`overall`, and `days` by day; see `paired_differences`), `costs` (model -> figure, mean over seeds), `leak_checks`,
      `slices` (`graph`, `dimensions`: see `slice_report`) and `stay_baselines` (see `stay_report`), empty without `facts`, and
      `calibration` (see `calibration_report`).

    Raises:
      E2EGRecError: as `build_report` and `paired_differences`.
    """
    results: dict[str, dict[int, Any]] = {}
    for model, by_seed in predicted.items():
        for seed, one in by_seed.items():
            results.setdefault(model, {})[seed] = evaluate_predictions(
                reward=rows.reward,
                reward_probability=one.reward,
                user=rows.user,
                day=rows.day,
                stay=rows.stay,
                stay_seconds=one.stay,
            )
            advance()
    report = build_report(results, {**context, "bootstrap_draws": draws}, _BASELINE)
    reference = reference_of(list(predicted))
    days = [str(day) for day in np.unique(rows.day)]
    scopes = {"overall": paired_differences(rows, predicted, reference, draws, advance=advance)}
    for day in days:
        scopes[day] = (
            paired_differences(*_of_day(rows, predicted, day), reference, draws, advance=advance)
            if len(days) > 1
            else {other: dict(of_other) for other, of_other in scopes["overall"].items()}
        )
    for scope, of_others in scopes.items():
        for other, differences in of_others.items():
            differences["xauc"] = seed_difference(
                _xauc(results, reference, scope), _xauc(results, other, scope)
            )
    return report | {
        "reference": reference,
        "differences": {"overall": scopes["overall"], "days": {day: scopes[day] for day in days}},
        "costs": {model: _mean_costs(list(by_seed.values())) for model, by_seed in costs.items()},
        "leak_checks": [dict(one) for one in leak_checks],
        "slices": _slices(rows, predicted, facts, reference, draws, advance),
        "stay_baselines": stay_report(rows, predicted, facts.baselines, draws),
        "calibration": calibration_report(rows, predicted),
    }


def reference_of(models: Sequence[str]) -> str:
    """The model that the others are held against: R5, or the last one without it."""
    return _REFERENCE if _REFERENCE in models else models[-1]


def steps_of(rows: LabelledRows, predicted: Predicted, draws: int, facts: RowFacts = NO_FACTS) -> int:
    """How often `build_comparison` says that it advanced."""
    days = len(np.unique(rows.day))
    scopes = 1 + (days if days > 1 else 0)
    return sum(map(len, predicted.values())) + draws * scopes + slice_steps(rows, facts.slices, draws)


def write_comparison(report: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Write `report.json`, and `report.md` and `report.html` from it; returns the report as JSON holds it.

    Raises:
      E2EGRecError: as `read_comparison`.
    """
    text = json.dumps(as_json(report), indent=2, allow_nan=False) + "\n"
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / REPORT_FILE, text)
    return regenerate(directory)


def regenerate(directory: Path) -> dict[str, Any]:
    """Write `report.md` and `report.html` from `report.json` alone; the same file gives the same bytes. Returns the report.

    Raises:
      E2EGRecError: there is no `report.json` of a comparison.
    """
    report = read_comparison(directory)
    write_whole(directory / MARKDOWN_FILE, comparison_markdown(report))
    write_whole(directory / HTML_FILE, comparison_page(report))
    return report


def read_comparison(directory: Path) -> dict[str, Any]:
    """The report in DIR/report.json.

    Raises:
      E2EGRecError: there is none, it is damaged, or it is no comparison's.
    """
    path = directory / REPORT_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise E2EGRecError(f"{directory} holds no {REPORT_FILE}; run `e2egrec compare` first") from None
    except ValueError:
        raise E2EGRecError(f"{path} is damaged; run `e2egrec compare` again") from None
    if not isinstance(report, dict) or not {"context", "models", "differences", "costs"} <= set(report):
        raise E2EGRecError(f"{path} is no report of `e2egrec compare`; name the directory of a comparison")
    return report


def _slices(
    rows: LabelledRows,
    predicted: Predicted,
    facts: RowFacts,
    reference: str,
    draws: int,
    advance: Callable[[], object],
) -> dict[str, Any]:
    if not facts.slices:
        return {}
    dimensions = slice_report(rows, predicted, facts.slices, reference, draws, advance)
    return {"graph": facts.graph, "dimensions": dimensions}


def _xauc(results: Mapping[str, Mapping[int, Any]], model: str, scope: str) -> list[float]:
    """By seed, over all rows (`overall`) or on a day."""
    of_scope = [
        one["overall"] if scope == "overall" else one["days"][scope]
        for _, one in sorted(results[model].items())
    ]
    return [one["xauc"] for one in of_scope]


def _of_day(rows: LabelledRows, predicted: Predicted, day: str) -> tuple[LabelledRows, Predicted]:
    of_day = np.flatnonzero(rows.day == day)
    taken: dict[str, dict[int, Predictions]] = {
        model: {seed: one.take(of_day) for seed, one in by_seed.items()}
        for model, by_seed in predicted.items()
    }
    return rows.take(of_day), taken


def _mean_costs(of_seeds: Sequence[Mapping[str, float | None]]) -> dict[str, float | int | None]:
    """The mean of each figure over the seeds that know it; parameters stay whole numbers."""
    means: dict[str, float | int | None] = {}
    for name in COSTS:
        known = [value for one in of_seeds if (value := one.get(name)) is not None]
        mean = float(np.mean(known)) if known else None
        means[name] = round(mean) if mean is not None and name in ("parameters", "frozen") else mean
    return means
