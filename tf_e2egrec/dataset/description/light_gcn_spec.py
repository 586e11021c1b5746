"""`LightGCNSpec`: LightGCN on the whole graph of users and items."""

from typing import Any

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.recommender_spec import RecommenderSpec

_ROUNDING = 1e-6


class LightGCNSpec(RecommenderSpec):
    """Graph convolution in training (arXiv 2002.02126).

    Attributes:
      layers: hops.
      layer_weights: a_0 of the embeddings themselves and a_1, a_2, ... of each hop, which sum to 1; 1 / (layers + 1) each when
        absent. `mf-conv` convolves so, too.
    """

    layers: int = Field(default=2, ge=1)
    layer_weights: list[float] | None = None

    @model_validator(mode="after")
    def _one_weight_a_hop(self) -> "LightGCNSpec":
        weights, needed = self.layer_weights, self.layers + 1
        if weights is None:
            return self
        is_mean = abs(sum(weights) - 1) <= _ROUNDING and min(weights, default=0) >= 0
        if len(weights) != needed or not is_mean:
            raise ValueError(
                f"layer_weights: {needed} numbers are needed, one of the embeddings and one of each of the "
                f"{self.layers} layers, none negative and 1 in sum, not {weights}"
            )
        return self

    @property
    def convolution(self) -> dict[str, Any]:
        """What the convolution depends on, in training and after it."""
        return {"layers": self.layers, "layer_weights": self.layer_weights}
