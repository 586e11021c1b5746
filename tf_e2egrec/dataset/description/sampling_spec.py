"""`SamplingSpec`: importance sampling of neighbours."""

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class SamplingSpec(StrictModel):
    """P(v | u) proportional to w_uv ** beta, without replacement (E2E-GRec, importance-based subgraph
    sampling).

    Attributes:
      fanout: neighbours per candidate.
      recent_fanout: neighbours per recent item; 0 leaves recent items without neighbours.
      evaluation_fanout: neighbours per candidate in validation, test and serving, where the heaviest are
        taken, not sampled; `fanout` when absent.
      beta: exponent of the edge weight; 0 is uniform.
      top: the `top` heaviest neighbours are what is sampled from.
    """

    fanout: int = Field(default=100, ge=1, le=1000)
    recent_fanout: int = Field(default=10, ge=0, le=1000)
    evaluation_fanout: int | None = Field(default=None, ge=1, le=1000)
    beta: float = Field(default=0.5, ge=0)
    top: int = Field(default=200, ge=1)

    @property
    def deterministic_fanout(self) -> int:
        """Neighbours per candidate where nothing is sampled."""
        return self.evaluation_fanout or self.fanout
