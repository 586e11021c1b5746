"""`LightGODESpec`: training without a graph, and convolution as a graph ODE afterwards."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.recommender_spec import RecommenderSpec


class LightGODESpec(RecommenderSpec):
    """Alignment and uniformity in training; dz/dt = Âz + E afterwards (arXiv 2407.18910). `directau` is the same without it.

    Attributes:
      loss: `directau` (alignment and uniformity), or as elsewhere; the model `directau` has always its own.
      gamma: with `directau`: weight of the uniformity.
      t: how long the flow runs from z(0) = E.
      solver: `euler`, `rk4` or `exact`.
      steps: of the solver; one of Euler's is what was published: z = (1 + t) E + t Â E.
    """

    loss: Literal["directau", "bpr", "softmax"] = "directau"  # type: ignore[assignment]
    batch_size: int = Field(default=256, ge=2)
    l2: float = Field(default=0.0, ge=0)
    gamma: float = Field(default=0.5, ge=0)
    t: float = Field(default=1.8, ge=0)
    solver: Literal["euler", "rk4", "exact"] = "euler"
    steps: int = Field(default=1, ge=1)
