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
    "LightGCNConv",
    "MultiTaskModel",
    "RowSparseAdam",
    "SwingSpec",
    "Tower",
    "gfae_loss",
    "load_description",
    "swing_edges",
}


def test_the_names_are_the_agreed_ones():
    assert set(tf_e2egrec.__all__) == GOLDEN


def test_every_name_exists_and_is_documented():
    for name in GOLDEN - {"__version__"}:
        value = getattr(tf_e2egrec, name)
        assert inspect.getdoc(value), name
