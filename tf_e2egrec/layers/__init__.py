"""Keras layers; each is usable in any Keras model."""

from tf_e2egrec.layers.attention_fusion import AttentionFusion
from tf_e2egrec.layers.feature_embedding import FeatureEmbedding
from tf_e2egrec.layers.gated_concat_fusion import GatedConcatFusion
from tf_e2egrec.layers.graph_sage_conv import GraphSAGEConv
from tf_e2egrec.layers.key_hashing import KeyHashing
from tf_e2egrec.layers.key_lookup import KeyLookup
from tf_e2egrec.layers.light_gcn import LightGCN
from tf_e2egrec.layers.light_gcn_conv import LightGCNConv, propagate_lightgcn
from tf_e2egrec.layers.tower import Tower

__all__ = [
    "AttentionFusion",
    "FeatureEmbedding",
    "GatedConcatFusion",
    "GraphSAGEConv",
    "KeyHashing",
    "KeyLookup",
    "LightGCN",
    "LightGCNConv",
    "Tower",
    "propagate_lightgcn",
]
