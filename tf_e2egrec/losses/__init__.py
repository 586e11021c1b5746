"""Losses as pure functions of tensors."""

from tf_e2egrec.losses.bpr import bpr_loss
from tf_e2egrec.losses.duration_quantiles import (
    DurationQuantiles,
    fit_duration_quantiles,
    quantile_of,
    seconds_at,
)
from tf_e2egrec.losses.gfae import gfae_loss
from tf_e2egrec.losses.global_batch import first_of_each, mean_over_replicas
from tf_e2egrec.losses.masked_features import by_column, hidden_fields, masked_feature_loss
from tf_e2egrec.losses.reward import reward_loss
from tf_e2egrec.losses.stay import (
    d2q_loss,
    d2q_to_seconds,
    huber_log1p_loss,
    log1p_to_seconds,
    wlr_loss,
    wlr_to_seconds,
)

__all__ = [
    "DurationQuantiles",
    "bpr_loss",
    "by_column",
    "d2q_loss",
    "d2q_to_seconds",
    "first_of_each",
    "fit_duration_quantiles",
    "gfae_loss",
    "hidden_fields",
    "huber_log1p_loss",
    "log1p_to_seconds",
    "masked_feature_loss",
    "mean_over_replicas",
    "quantile_of",
    "reward_loss",
    "seconds_at",
    "wlr_loss",
    "wlr_to_seconds",
]
