"""The report of `e2egrec simulate` as tables, for the terminal and in Markdown; each is marked as a simulation."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group

from tf_e2egrec.evaluation.report_tables import in_markdown, on_terminal
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, mean_and_spread, number

_TITLES = {
    "stay_per_exposure": "stay per exposure [s]",
    "skips_per_user": "skips per user",
    "play_rate": "play rate",
    "expected_stay_per_exposure": "expected stay [s]",
    "expected_play_rate": "expected play rate",
}
_NOTES = (
    "SIMULATION: users, videos and outcomes are generated; nothing here was measured on people. Every candidate of a request has a drawn "
    "outcome, so what a policy earns is read off. Means ± sample standard deviation over seeds.",
    "A play is a click, the play rate clicks per exposure. A skip is an exposure without a click or with a stay under {skip_seconds:g} s; "
    "every user has one request, so skips per user lie between 0 and the slate's size. The expected figures take the generator's own "
    "probabilities and means in place of what was drawn. Each exposure counts as the first of its session, also within a slate.",
    "Policies: {score}. `popularity` ranks by clicks on the days before. Both oracles know what no model can: `oracle` ranks by click "
    "probability x expected stay (and what is expected of those who only glance), the most stay that any policy can expect; "
    "`oracle-score` puts the true values into the models' own score, the most that better predictions could bring a model.",
)
_INTERVALS = (
    "Differences are {reference} minus the other model, as means over seeds; in brackets the 95 % interval of a bootstrap over users "
    "({draws} draws), behind it the standard error over paired seeds, then the difference relative to the other model. Fewer skips are "
    "better."
)


def render_simulation(report: Mapping[str, Any]) -> Group:
    """Rich tables: policies by figures and differences between models, for each size of the slate.

    Args:
      report: what `build_simulation` returned, or the same read back from `simulation.json`.
    """
    return on_terminal(_sheets(report), _notes(report))


def simulation_markdown(report: Mapping[str, Any]) -> str:
    """The same tables and the whole context, as Markdown text."""
    context = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in report["context"].items()
    }
    return in_markdown("Simulation of policies", context, _sheets(report), _notes(report))


def _sheets(report: Mapping[str, Any]) -> list[Sheet]:
    sheets = []
    for size, policies in report["policies"].items():
        title = _title(report, size)
        sheets.append(_policies_sheet(title, policies))
        if report["differences"][size]:
            sheets.append(_differences_sheet(title, report["reference"], report["differences"][size]))
    return sheets


def _title(report: Mapping[str, Any], size: str) -> str:
    context = report["context"]
    slate = "the best candidate" if size == "1" else f"the best {size} candidates"
    return f"simulation: {context['dataset']}, regime {context['regime']}, {slate} of {context['users']:,} requests"


def _policies_sheet(title: str, policies: Mapping[str, Any]) -> Sheet:
    rows = [
        [name, str(one["seeds"]), *(mean_and_spread(one[metric]) for metric in _TITLES)]
        for name, one in policies.items()
    ]
    return Sheet(title, ["policy", "seeds", *_TITLES.values()], rows)


def _differences_sheet(title: str, reference: str, others: Mapping[str, Any]) -> Sheet:
    rows = [
        [f"{reference} - {other}", *(_cell(one[metric]) for metric in _TITLES)]
        for other, one in others.items()
    ]
    columns = ["models", *(f"Δ{name}" for name in _TITLES.values())]
    return Sheet(f"{title}: paired differences, 95 % intervals over users", columns, rows)


def _cell(one: Mapping[str, Any]) -> str:
    """`+0.3100 [+0.1200, +0.5000] ± 0.0400 (+3.10 %)`."""
    names = ("difference", "low", "high", "seed_error", "relative")
    difference, low, high, error, relative = (number(one[name]) for name in names)
    if difference is None:
        return MISSING
    text = f"{difference:+.4f}"
    if low is not None and high is not None:
        text += f" [{low:+.4f}, {high:+.4f}]"
    if error is not None:
        text += f" ± {error:.4f}"
    return text if relative is None else f"{text} ({100 * relative:+.2f} %)"


def _notes(report: Mapping[str, Any]) -> list[str]:
    context = report["context"]
    notes = [note.format(skip_seconds=context["skip_seconds"], score=context["score"]) for note in _NOTES]
    if any(report["differences"].values()):
        notes.append(_INTERVALS.format(reference=report["reference"], draws=context["bootstrap_draws"]))
    return notes
