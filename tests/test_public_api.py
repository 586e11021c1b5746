"""The public names; a change here is a change for users and belongs in the CHANGELOG."""

import inspect

import tf_e2egrec

GOLDEN = {
    "__version__",
    "AttentionFusion",
    "bpr_loss",
    "Checkpoints",
    "d2q_loss",
    "d2q_to_seconds",
    "DatasetDescription",
    "Diagnostics",
    "DurationQuantiles",
    "E2EGRec",
    "E2EGRecError",
    "effective_rank",
    "epoch_dataset",
    "FeatureEmbedding",
    "fit_duration_quantiles",
    "GatedConcatFusion",
    "gfae_loss",
    "grad_norm_gradient",
    "GradNorm",
    "GraphSAGEConv",
    "hidden_fields",
    "huber_log1p_loss",
    "KeyLookup",
    "LightGCN",
    "LightGCNConv",
    "load_description",
    "log1p_to_seconds",
    "masked_feature_loss",
    "ModelInputs",
    "ModelSpec",
    "MultiOutputModel",
    "MultiTaskModel",
    "parameter_counts",
    "propagate_lightgcn",
    "reward_loss",
    "RowSparseAdam",
    "swing_edges",
    "SwingSpec",
    "TaskBalancer",
    "Tower",
    "variant_named",
    "wlr_loss",
    "wlr_to_seconds",
}


def test_the_names_are_the_agreed_ones():
    assert set(tf_e2egrec.__all__) == GOLDEN


def test_every_name_exists_and_is_documented():
    for name in GOLDEN - {"__version__"}:
        value = getattr(tf_e2egrec, name)
        assert inspect.getdoc(value), name
