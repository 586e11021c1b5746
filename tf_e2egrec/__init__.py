"""tf_e2egrec: a graph neural network and a recommender trained together (E2E-GRec, arXiv 2511.20564).

Importing the package does not import TensorFlow; the names below are loaded when they are first used.
"""

import importlib
import os
from typing import Any

# TF-GNN and TensorFlow Recommenders are written for Keras 2; TensorFlow reads this when `tf.keras` is first
# touched.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

__version__ = "0.1.0"

_HOME_OF = {
    "DatasetDescription": "tf_e2egrec.dataset.description",
    "ModelSpec": "tf_e2egrec.dataset.description.model_spec",
    "SwingSpec": "tf_e2egrec.dataset.description",
    "load_description": "tf_e2egrec.dataset.description",
    "E2EGRecError": "tf_e2egrec.errors",
    "swing_edges": "tf_e2egrec.graph.swing",
    "AttentionFusion": "tf_e2egrec.layers",
    "FeatureEmbedding": "tf_e2egrec.layers",
    "GatedConcatFusion": "tf_e2egrec.layers",
    "GraphSAGEConv": "tf_e2egrec.layers",
    "KeyLookup": "tf_e2egrec.layers",
    "LightGCN": "tf_e2egrec.layers",
    "LightGCNConv": "tf_e2egrec.layers",
    "propagate_lightgcn": "tf_e2egrec.layers",
    "Tower": "tf_e2egrec.layers",
    "DurationQuantiles": "tf_e2egrec.losses",
    "bpr_loss": "tf_e2egrec.losses",
    "d2q_loss": "tf_e2egrec.losses",
    "d2q_to_seconds": "tf_e2egrec.losses",
    "fit_duration_quantiles": "tf_e2egrec.losses",
    "gfae_loss": "tf_e2egrec.losses",
    "hidden_fields": "tf_e2egrec.losses",
    "huber_log1p_loss": "tf_e2egrec.losses",
    "log1p_to_seconds": "tf_e2egrec.losses",
    "masked_feature_loss": "tf_e2egrec.losses",
    "reward_loss": "tf_e2egrec.losses",
    "wlr_loss": "tf_e2egrec.losses",
    "wlr_to_seconds": "tf_e2egrec.losses",
    "E2EGRec": "tf_e2egrec.models",
    "ModelInputs": "tf_e2egrec.models",
    "parameter_counts": "tf_e2egrec.models",
    "variant_named": "tf_e2egrec.models",
    "Checkpoints": "tf_e2egrec.training",
    "Diagnostics": "tf_e2egrec.training",
    "GradNorm": "tf_e2egrec.training",
    "MultiOutputModel": "tf_e2egrec.training",
    "MultiTaskModel": "tf_e2egrec.training",
    "RowSparseAdam": "tf_e2egrec.training",
    "TaskBalancer": "tf_e2egrec.training",
    "effective_rank": "tf_e2egrec.training",
    "epoch_dataset": "tf_e2egrec.training",
    "grad_norm_gradient": "tf_e2egrec.training",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module `tf_e2egrec` has no attribute `{name}`")


def __dir__() -> list[str]:
    return sorted(__all__)
