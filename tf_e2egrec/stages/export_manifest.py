"""What an export says about itself, in `assets.extra/manifest.json`."""

import json
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tf_e2egrec
from tf_e2egrec.dataset.artefact import Manifest, fingerprint_of
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError

_PACKAGES = ("tensorflow", "tf_keras", "tensorflow-gnn", "numpy")


def export_fingerprint(trained: Manifest, kind: str) -> str:
    """Equal for exports of the same weights and kind."""
    return fingerprint_of("export", trained.fingerprint, kind)


def export_manifest(
    trained: Manifest, description: DatasetDescription, directory: Path, kind: str, tried: dict[str, Any]
) -> Manifest:
    """The manifest of an export.

    Args:
      trained: the manifest of the trained model; its `inputs` is the data's fingerprint.
      description: the whole configuration, which is kept.
      directory: of the trained model, for its history.
      kind: of the export.
      tried: what `require_sound` found.
    """
    configuration = {name: trained.configuration[name] for name in ("model", "seed")}
    return Manifest(
        stage="export",
        configuration={**configuration, "dataset": description.name, "kind": kind},
        fingerprint=export_fingerprint(trained, kind),
        inputs=trained.inputs,
        upstream=trained.fingerprint,
        newest_edge_time=trained.newest_edge_time,
        details={
            "valid_auc": trained.details.get("valid_auc"),
            "regime": description.graph.regime,
            "metrics": _metrics(directory / "history.json"),
            "provenance": _provenance(),
            "canary": tried,
            "description": description.model_dump(mode="json", by_alias=True, exclude={"data_root"}),
        },
    )


def _metrics(history: Path) -> dict[str, float]:
    """Validation figures of the epoch whose weights were kept: the one of the highest AUC."""
    if not history.exists():
        return {}
    try:
        log = json.loads(history.read_text(encoding="utf-8"))
    except ValueError:
        raise E2EGRecError(f"{history} is damaged; run `e2egrec train --force`") from None
    aucs = [-math.inf if math.isnan(value) else value for value in log.get("val_auc", [])]
    if not aucs:
        return {}
    best = aucs.index(max(aucs))
    figures = {
        name: values[best] for name, values in log.items() if name.startswith("val_") and best < len(values)
    }
    return {name.removeprefix("val_"): value for name, value in figures.items() if math.isfinite(value)}


def _provenance() -> dict[str, str]:
    """Versions of what made the export; no path, user or host."""
    found = {"tf_e2egrec": tf_e2egrec.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
