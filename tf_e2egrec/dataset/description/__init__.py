"""The data set description file as validated pydantic models."""

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.description.interaction_log import InteractionLog
from tf_e2egrec.dataset.description.load import load_description, parse_description
from tf_e2egrec.dataset.description.swing_spec import SwingSpec

__all__ = [
    "DatasetDescription",
    "FeatureSpec",
    "InteractionLog",
    "SwingSpec",
    "load_description",
    "parse_description",
]
