"""The public names; a change here is a change for users and belongs in the CHANGELOG."""

import inspect

import tf_e2egrec

GOLDEN = {
    "__version__",
    "AttentionFusion",
    "DatasetDescription",
    "E2EGRec",
    "E2EGRecError",
    "FeatureEmbedding",
    "GatedConcatFusion",
    "GradNorm",
    "GraphSAGEConv",
    "KeyLookup",
    "LightGCN",
    "LightGCNConv",
    "MultiTaskModel",
    "RowSparseAdam",
    "SwingSpec",
    "Tower",
    "d2q_loss",
    "d2q_to_seconds",
    "fit_duration_quantiles",
    "gfae_loss",
    "hidden_fields",
    "huber_log1p_loss",
    "load_description",
    "log1p_to_seconds",
    "masked_feature_loss",
    "propagate_lightgcn",
    "reward_loss",
    "swing_edges",
    "wlr_loss",
    "wlr_to_seconds",
}


def test_the_names_are_the_agreed_ones():
    assert set(tf_e2egrec.__all__) == GOLDEN


def test_every_name_exists_and_is_documented():
    for name in GOLDEN - {"__version__"}:
        value = getattr(tf_e2egrec, name)
        assert inspect.getdoc(value), name
