"""How it came about: learning curves, task weights, calibration, tuning, leak checks, costs, configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

from tf_e2egrec.evaluation.comparison_sheets import checks_sheet, costs_sheet
from tf_e2egrec.evaluation.html_report.line_chart import Line, line_chart
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.section import Section, in_front, not_recorded
from tf_e2egrec.evaluation.html_report.tables import figure, folded, note, table
from tf_e2egrec.evaluation.report_tables import where
from tf_e2egrec.evaluation.sheet import Sheet, mean_and_spread, number
from tf_e2egrec.evaluation.tuning_sheet import tuning_sheets

_CURVES = {"auc": "AUC", "ltr_loss": "ranking loss", "ssl_loss": "self-supervised loss"}
_LEARNING = "One line per seed. Early stopping keeps the epoch of the best validation AUC."
_ROLLING = " What a rolling model learns between the test days is not drawn."
_WEIGHTS = (
    "One line per seed: the weights that GradNorm gave the losses, recorded before the first step, now and then within an epoch, and "
    "at its end. They sum to the number of tasks."
)
_CALIBRATION = (
    "The test rows in 20 bins of about equal size by predicted probability, one line per seed; the dashed line is perfect. ECE is the mean "
    "distance from it, weighted by rows. Where negatives were sampled, probabilities are of the sampled rows."
)
_COSTS = (
    "Frozen parameters are not reached by the ranking loss. A step is one training batch, its input included (median); memory is the most "
    "that the training process held. GNN refresh is the part of a cascade's training that makes its graph network anew."
)


def learning(report: Mapping[str, Any]) -> Section:
    """AUC and losses by epoch."""
    name, title = "learning", "Learning curves"
    if "curves" not in report:
        return Section(name, title, not_recorded("learning curves"))
    drawn = {metric: _by_model(report, _learning_charts(report, metric)) for metric in _CURVES}
    if not any(drawn.values()):
        return Section(name, title, note("No training left a history."))
    losses = [
        folded(of_metric, drawn[metric]) for metric, of_metric in list(_CURVES.items())[1:] if drawn[metric]
    ]
    rolling = _ROLLING if report["context"].get("protocol") == "rolling" else ""
    return Section(name, title, joined(drawn["auc"], *losses, note(_LEARNING, rolling)))


def weights(report: Mapping[str, Any]) -> Section:
    """Task weights by step, of the models that GradNorm balanced."""
    name, title = "weights", "GradNorm weights"
    if "curves" not in report:
        return Section(name, title, not_recorded("task weights"))
    found = {
        model: {seed: one["weights"] for seed, one in by_seed.items() if one.get("weights")}
        for model, by_seed in report["curves"].items()
    }
    found = {model: by_seed for model, by_seed in found.items() if by_seed}
    if not found:
        return Section(name, title, note("GradNorm balanced none of these models."))
    tasks = list(dict.fromkeys(t for by in found.values() for one in by.values() for t in one["mean"]))
    charts = {
        model: figure(model, _weights_chart(model, by_seed, tasks), where(report))
        for model, by_seed in found.items()
        if any(one["step"] for one in by_seed.values())
    }
    rows = [
        [model, seed, *(_figure(one["mean"].get(task)) for task in tasks)]
        for model, by_seed in found.items()
        for seed, one in by_seed.items()
    ]
    sheet = Sheet("task weights, averages since the warm-up", ["model", "seed", *tasks], rows)
    return Section(name, title, joined(_by_model(report, charts), note(_WEIGHTS), table(report, sheet)))


def calibration(report: Mapping[str, Any]) -> Section:
    """Predicted against observed shares."""
    name, title = "calibration", "Calibration"
    found = report.get("calibration")
    if not found:
        return Section(name, title, not_recorded("calibration curves"))
    charts = {
        model: figure(
            f"{model}: ECE {mean_and_spread(one['ece'])}", _calibration_chart(model, one), where(report)
        )
        for model, one in found.items()
    }
    rows = [
        [
            model,
            mean_and_spread(one["mean_predicted"]),
            _figure(one["observed"]),
            mean_and_spread(one["ece"]),
        ]
        for model, one in found.items()
    ]
    columns = ["model", "mean prediction", "observed share", "ECE"]
    sheet = Sheet("calibration of the reward probability", columns, rows)
    return Section(name, title, joined(_by_model(report, charts), table(report, sheet), note(_CALIBRATION)))


def tuning(report: Mapping[str, Any]) -> Section:
    """What was tried on the validation split."""
    tables = [table(report, sheet) for sheet in tuning_sheets(report)]
    return Section("tuning", "Tuning", joined(*tables) if tables else note("Nothing was tuned."))


def leaks(report: Mapping[str, Any]) -> Section:
    """What was checked before anything was trained."""
    if not report["leak_checks"]:
        return Section("leaks", "Leak checks", note("Nothing was checked."))
    return Section("leaks", "Leak checks", table(report, checks_sheet(report), ("what was checked",)))


def costs(report: Mapping[str, Any]) -> Section:
    """Parameters, seconds and memory."""
    jobs = report["context"].get("jobs", 1)
    beside = f" They were measured with {jobs} runs side by side." if jobs > 1 else ""
    return Section("costs", "Costs", joined(table(report, costs_sheet(report)), note(_COSTS, beside)))


def configuration(report: Mapping[str, Any]) -> Section:
    """The description file."""
    name, title = "configuration", "Configuration"
    text = report.get("configuration", {}).get("text")
    if not text:
        return Section(name, title, not_recorded("description file"))
    graph = report["configuration"]["graph"]
    said = note(
        f"The description file of {report['reference']}, as its graph (graphs/{graph}) was made from it."
    )
    shown = tag("pre", tag("code", text), tabindex=0, role="region", aria_label="description file")
    return Section(name, title, joined(said, shown))


def _by_model(report: Mapping[str, Any], charts: Mapping[str, Markup]) -> Markup:
    """The charts of the models in front, and folded away those of the others."""
    front = [charts[model] for model in in_front(report) if model in charts]
    others = [chart for model, chart in charts.items() if model not in in_front(report)]
    if not front:
        front, others = others, []
    parts = [tag("div", *front, class_="charts")] if front else []
    if others:
        parts.append(folded(f"{len(others)} more models", tag("div", *others, class_="charts")))
    return joined(*parts)


def _learning_charts(report: Mapping[str, Any], metric: str) -> dict[str, Markup]:
    """A chart for every model that recorded the metric, all of one range."""
    values = [
        value
        for by_seed in report["curves"].values()
        for one in by_seed.values()
        for split in ("", "val_")
        for value in one["history"].get(split + metric, ())
        if number(value) is not None
    ]
    if not values:
        return {}
    y_range = min(values), max(values)
    histories = [one["history"] for by_seed in report["curves"].values() for one in by_seed.values()]
    x_range = 1.0, float(max(history["epoch"][-1] for history in histories if history))
    charts = {}
    for model, by_seed in report["curves"].items():
        lines = [
            Line(said, one["history"]["epoch"], one["history"][split + metric], style)
            for style, (split, said) in enumerate({"val_": "validation", "": "training"}.items())
            for one in by_seed.values()
            if split + metric in one["history"]
        ]
        if lines:
            label = f"{_CURVES[metric]} of {model} by epoch. {'. '.join(_ends(lines))}."
            title = _CURVES[metric]
            chart = line_chart(lines, label, "epoch", title, x_range=x_range, y_range=y_range, whole_x=True)
            charts[model] = figure(model, chart, where(report))
    return charts


def _weights_chart(model: str, by_seed: Mapping[str, Any], tasks: list[str]) -> Markup:
    lines = [
        Line(task, one["step"], one["tasks"][task], style)
        for style, task in enumerate(tasks)
        for one in by_seed.values()
        if one["tasks"].get(task)
    ]
    label = f"Task weights of {model} by training step. {'. '.join(_ends(lines))}."
    return line_chart(lines, label, "step", "weight", y_range=(0.0, float(len(tasks))), whole_x=True)


def _calibration_chart(model: str, one: Mapping[str, Any]) -> Markup:
    lines = [Line("", curve["predicted"], curve["observed"]) for curve in one["per_seed"].values()]
    label = (
        f"Observed share of positives by predicted probability, {model}: ECE {mean_and_spread(one['ece'])}."
    )
    return line_chart(lines, label, "predicted probability", "observed share", diagonal=True)


def _ends(lines: list[Line]) -> Iterator[str]:
    """In words, where lines begin and end."""
    for line in lines:
        known = [value for value in line.y if number(value) is not None]
        if known:
            yield f"{line.name}: from {known[0]:.4f} to {known[-1]:.4f}"


def _figure(value: float | None) -> str:
    known = number(value)
    return "-" if known is None else f"{known:.4f}"
