"""What keeps a worse model from being published."""

import math
from pathlib import Path

from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError, read_manifest
from tf_e2egrec.errors import E2EGRecError


def versions_in(base: Path) -> list[int]:
    """The versions of a model's base path, ascending."""
    return sorted(int(path.name) for path in base.glob("*") if path.name.isdigit()) if base.exists() else []


def live_manifest(base: Path) -> Manifest | None:
    """The manifest of the newest version, the one that a server answers from; None where there is no version.

    Raises:
      E2EGRecError: the newest version has no readable manifest.
    """
    versions = versions_in(base)
    if not versions:
        return None
    newest = base / str(versions[-1])
    try:
        return read_manifest(newest / "assets.extra", "export", "e2egrec export")
    except StaleArtefactError as error:
        raise E2EGRecError(
            f"{newest} cannot be compared with: {error}; or leave --not-worse-than-live out"
        ) from None


def require_good_enough(
    valid_auc: float | None, base: Path, min_auc: float | None = None, live_tolerance: float | None = None
) -> None:
    """Refuse a model by its validation AUC.

    Args:
      valid_auc: of the trained model.
      base: the model's base path.
      min_auc: the least that is published; None for no floor.
      live_tolerance: by how much it may be worse than the newest version in `base`; None not to compare.

    Raises:
      E2EGRecError: it is worse, or has no AUC to judge by.
    """
    if min_auc is None and live_tolerance is None:
        return
    if valid_auc is None or math.isnan(valid_auc):
        raise E2EGRecError(
            "the model has no validation AUC to judge it by; train it with a validation split, or export it "
            "without --min-auc and --not-worse-than-live"
        )
    if min_auc is not None and valid_auc < min_auc:
        raise E2EGRecError(
            f"the model's validation AUC is {valid_auc:.4f}, below --min-auc {min_auc:g}; nothing was published"
        )
    live = live_manifest(base) if live_tolerance is not None else None
    if live is None or live_tolerance is None:
        return
    bar = live.details.get("valid_auc")
    if bar is None or math.isnan(bar):
        raise E2EGRecError(
            f"the newest version in {base} says no validation AUC; leave --not-worse-than-live out"
        )
    if valid_auc < bar - live_tolerance:
        raise E2EGRecError(
            f"the model's validation AUC is {valid_auc:.4f}, that of the newest version in {base} {bar:.4f}, and "
            f"--tolerance is {live_tolerance:g}; nothing was published"
        )
