"""`ModelSpec`: the shape of the model."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class ModelSpec(StrictModel):
    """Architecture and losses; the defaults are what validation chose (docs/reproduction.md).

    Example:
      >>> ModelSpec(dim=32).fusion
      'gate'

    Attributes:
      dim: width of X, Z and the fusion tokens.
      encoder: `lightgcn`, or `graphsage` (the mean aggregator, linear because it is the last layer) for the ablation.
      layer_weights: (a_0, a_1) of the LightGCN layer; they sum to 1.
      normalization: of the LightGCN layer. `row`: a mean over the neighbours. `sym_local`: w / sqrt(d_u d_v), degrees
        inside the subgraph.
      fusion: `concat`, `gate`, `attention`, or `gate+attention` as published. Validation prefers the gate alone.
      heads: attention heads.
      attention_residual: what the attended tokens are added to. `tokens`: the tokens, then LayerNorm, as published. `parts`: the
        fusion's parts as they are, through a projection that starts at zero.
      tower_units: hidden widths of the towers.
      ssl_loss: the form of GFAE. `relative`: ||X - Z||^2 over the norm of X. `literal`: the plain sum. `raw_sg`: the raw
        embeddings and features, with stopped gradient, are reconstructed through a square W_in, so X, Z and W_in are
        as wide as they are. `masked`: fields of the seeds are hidden and reconstructed from their neighbours.
      mask_rate: share of a seed's fields (its id and each feature) that `masked` hides.
      stay_loss: what the stay tower predicts. `huber_log1p`: log(1 + seconds), Huber loss. `d2q`: the quantile of the
        watch time among contents of like duration. `wlr`: weighted logistic regression, odds = expected seconds.
      duration_groups: most groups of like duration for `d2q`; fewer where the training split is small.
      dropout: in the towers.
    """

    dim: int = Field(default=64, ge=2)
    encoder: Literal["lightgcn", "graphsage"] = "lightgcn"
    layer_weights: tuple[float, float] = (0.5, 0.5)
    normalization: Literal["row", "sym_local"] = "row"
    fusion: Literal["concat", "gate", "attention", "gate+attention"] = "gate"
    heads: int = Field(default=8, ge=1)
    attention_residual: Literal["tokens", "parts"] = "parts"
    tower_units: tuple[int, ...] = (64,)
    ssl_loss: Literal["relative", "literal", "raw_sg", "masked"] = "relative"
    mask_rate: float = Field(default=0.4, gt=0, lt=1)
    stay_loss: Literal["huber_log1p", "d2q", "wlr"] = "huber_log1p"
    duration_groups: int = Field(default=30, ge=1, le=1000)
    dropout: float = Field(default=0.0, ge=0, lt=1)
