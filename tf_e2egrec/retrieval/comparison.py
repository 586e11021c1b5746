"""The report of `e2egrec recommend`."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, markdown_lines, mean_and_spread, number
from tf_e2egrec.retrieval.full_ranking import METRICS
from tf_e2egrec.retrieval.splits import RetrievalSplit

REPORT_FILE = "report.json"
MARKDOWN_FILE = "report.md"
_SPLITS = {
    "random": "random shares of each user's items",
    "leave_last_out": "each user's last item",
    "fixed": "fixed files",
}
_RANKED = (
    "Every item is ranked for every tested user, those of the user's training and validation pairs left out. Means ± deviation "
    "over seeds."
)
_TIMES = (
    "Times are those of training steps, without measurements. CPU seconds count all cores, and say more than wall-clock seconds "
    "where a machine is shared."
)
_VALIDATED = "The epoch of best validation {monitor} counts."
_NOT_VALIDATED = "There is no validation: the last epoch counts, and is the best one by definition."
_DISCREPANCY = (
    "Mean distance between the directions of an embedding and of its mean with its convolutions up to that many hops "
    "(0: the same, 2: opposite)."
)


def build_report(
    description: DatasetDescription, split: RetrievalSplit, finished: Mapping[str, Sequence[Manifest]]
) -> dict[str, Any]:
    """Everything that the tables show, JSON-able.

    Args:
      description: the data set.
      split: its interactions.
      finished: model -> the manifests of its seeds.
    """
    spec = description.recommend
    return {
        "context": {
            "dataset": description.name,
            "split": spec.split,
            "core": spec.core if spec.split != "fixed" else None,
            "split_seed": description.seed,
            "seeds": max(map(len, finished.values()), default=0),
            "has_validation": split.valid.nnz > 0,
            "top": spec.top,
            **split.counters,
        },
        "models": {name: _of_model(manifests) for name, manifests in finished.items()},
    }


def _of_model(manifests: Sequence[Manifest]) -> dict[str, Any]:
    details = [one.details for one in manifests]
    first = manifests[0]
    configuration = {
        name: value for name, value in first.configuration.items() if name not in ("model", "seed")
    }
    chosen = [one["chosen"] for one in details]
    return {
        "meaning": details[0]["meaning"],
        "configuration": configuration,
        "parameters": first.counters["parameters"],
        "test": {name: _spread([one["test"][name] for one in details]) for name in details[0]["test"]},
        "best_epoch": _spread([one["epoch"] for one in chosen]),
        "epochs": _spread([one.counters["epochs"] for one in manifests]),
        "seconds": _spread([one["seconds"] for one in details]),
        "cpu_seconds": _spread([one["cpu_seconds"] for one in details]),
        "seconds_to_best": _spread([one["seconds"] for one in chosen]),
        "cpu_seconds_to_best": _spread([one["cpu_seconds"] for one in chosen]),
        "discrepancy": np.mean([one["discrepancy"] for one in details], axis=0).tolist(),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": deviation, "values": [float(value) for value in values]}


def write_report(report: Mapping[str, Any], root: Path) -> None:
    """Write `report.json` and `report.md`, each whole or not at all."""
    texts = {REPORT_FILE: json.dumps(report, indent=2) + "\n", MARKDOWN_FILE: report_markdown(report)}
    for name, text in texts.items():
        beside = root / f".{name}.partial"
        beside.write_text(text, encoding="utf-8")
        beside.replace(root / name)


def report_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown text."""
    lines = [f"# Retrieval: {report['context']['dataset']}", ""]
    lines += [f"* {name}: {value}" for name, value in report["context"].items()]
    lines += ["", *(f"* `{name}`: {one['meaning']}" for name, one in report["models"].items())]
    for sheet in report_sheets(report):
        lines += markdown_lines(sheet)
    return "\n".join([*lines, "", *(f"{note}\n" for note in report_notes(report))])


def report_sheets(report: Mapping[str, Any]) -> list[Sheet]:
    """Metrics per list length, times, and the embedding discrepancy."""
    context, models = report["context"], report["models"]
    where = f"{context['dataset']}, {_SPLITS[context['split']]}"
    sheets = [_metrics_sheet(models, k, where) for k in context["top"]]
    rows = [
        [name, *(_shown(one[key], digits) for key, digits in _COSTS.values())] for name, one in models.items()
    ]
    sheets.append(Sheet(f"{where}: training", ["model", *_COSTS], rows))
    depth = range(1, 1 + max((len(one["discrepancy"]) for one in models.values()), default=0))
    rows = [[name, *(f"{value:.3f}" for value in one["discrepancy"])] for name, one in models.items()]
    titles = [f"{hops} hop{'s' if hops > 1 else ''}" for hops in depth]
    return [*sheets, Sheet(f"{where}: embedding discrepancy", ["model", *titles], rows)]


_COSTS = {
    "epochs": ("epochs", 1),
    "best epoch": ("best_epoch", 1),
    "CPU [s]": ("cpu_seconds", 1),
    "CPU to best [s]": ("cpu_seconds_to_best", 1),
    "wall [s]": ("seconds", 1),
    "wall to best [s]": ("seconds_to_best", 1),
}


def _metrics_sheet(models: Mapping[str, Any], k: int, where: str) -> Sheet:
    rows = []
    for name, one in models.items():
        ndcg = one["test"][f"ndcg@{k}"]["mean"]
        base = models["lightgcn"]["test"][f"ndcg@{k}"]["mean"] if "lightgcn" in models else math.nan
        share = f"{ndcg / base:.3f}" if base > 0 else MISSING
        rows.append([name, *(mean_and_spread(one["test"][f"{metric}@{k}"]) for metric in METRICS), share])
    titles = [
        f"{'MRR' if metric == 'mrr' else 'NDCG' if metric == 'ndcg' else metric.title()}@{k}"
        for metric in METRICS
    ]
    return Sheet(f"{where}: lists of {k}", ["model", *titles, "NDCG / lightgcn"], rows)


def _shown(spread: Mapping[str, Any], digits: int) -> str:
    mean, deviation = number(spread["mean"]), number(spread["std"])
    if mean is None:
        return MISSING
    return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if deviation is not None else "")


def report_notes(report: Mapping[str, Any]) -> list[str]:
    """How the tables are to be read."""
    context = report["context"]
    monitor = f"NDCG@{max(context['top'])}"
    chosen = _VALIDATED.format(monitor=monitor) if context["has_validation"] else _NOT_VALIDATED
    return [_RANKED, chosen, _TIMES, _DISCREPANCY]
