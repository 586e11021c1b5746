"""Stay models beside predictions that need no model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_e2egrec.evaluation.metrics import mae, xauc
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predicted, Predictions, paired_differences


def stay_report(
    rows: LabelledRows, predicted: Predicted, baselines: Mapping[str, np.ndarray], draws: int
) -> dict[str, Any]:
    """Errors of the baselines, and how far each model's error lies below or above theirs.

    Args:
      rows: labels of the test rows.
      predicted: model -> seed -> predictions of these rows.
      baselines: name -> predicted seconds [n]; none where there is no stay label.
      draws: of the bootstrap over users.

    Returns:
      Nothing without baselines or without a labelled row. Else `rows` (with a label), `baselines` (name -> `stay_mae` in
      seconds, `xauc`) and `differences`: model -> baseline -> the fields of `paired_differences`, the model's MAE
      minus the baseline's.
    """
    if not baselines or rows.stay is None or np.isnan(rows.stay).all():
        return {}
    labelled = np.flatnonzero(~np.isnan(rows.stay))
    rows = rows.take(labelled)
    assert rows.stay is not None
    fixed = {name: Predictions(seconds, seconds).take(labelled) for name, seconds in baselines.items()}
    errors = {
        name: {"stay_mae": mae(rows.stay, one.stay).value, "xauc": xauc(rows.stay, one.stay).value}
        for name, one in fixed.items()
        if one.stay is not None
    }
    differences: dict[str, Any] = {}
    for model, by_seed in predicted.items():
        beside = {name: dict.fromkeys(by_seed, one) for name, one in fixed.items()}
        taken = {model: {seed: one.take(labelled) for seed, one in by_seed.items()}}
        found = paired_differences(rows, {**taken, **beside}, model, draws, metrics=("stay_mae",))
        differences[model] = {name: metrics["stay_mae"] for name, metrics in found.items()}
    return {"rows": len(labelled), "baselines": errors, "differences": differences}
