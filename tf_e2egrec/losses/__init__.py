"""Losses as pure functions of tensors."""

from tf_e2egrec.losses.gfae import gfae_loss
from tf_e2egrec.losses.reward import reward_loss
from tf_e2egrec.losses.stay import huber_log1p_loss, log1p_to_seconds

__all__ = ["gfae_loss", "huber_log1p_loss", "log1p_to_seconds", "reward_loss"]
