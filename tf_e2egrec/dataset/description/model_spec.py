"""`ModelSpec`: the shape of the model."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class ModelSpec(StrictModel):
    """Architecture and losses; the defaults are those of the specification.

    Attributes:
      dim: width of X, Z and the fusion tokens.
      layer_weights: (a_0, a_1) of the LightGCN layer; they sum to 1.
      normalization: `row` or `sym_local`.
      fusion: `concat`, `gate`, `attention` or `gate+attention`.
      heads: attention heads.
      tower_units: hidden widths of the towers.
      ssl_loss: the GFAE variant: `relative` or `literal`.
      dropout: in the towers.
    """

    dim: int = Field(default=64, ge=2)
    layer_weights: tuple[float, float] = (0.5, 0.5)
    normalization: Literal["row", "sym_local"] = "row"
    fusion: Literal["concat", "gate", "attention", "gate+attention"] = "gate+attention"
    heads: int = Field(default=8, ge=1)
    tower_units: tuple[int, ...] = (64,)
    ssl_loss: Literal["relative", "literal"] = "relative"
    dropout: float = Field(default=0.0, ge=0, lt=1)
