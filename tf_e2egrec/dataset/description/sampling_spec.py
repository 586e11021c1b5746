"""`SamplingSpec`: importance sampling of neighbours."""

from typing import Literal

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
      format: what the subgraphs stage writes: `records` (every impression with its sampled neighbours), `table`
        (impressions without neighbours, and each snapshot's neighbour table, from which training samples), or
        `both` (impressions with neighbours, and the tables).
    """

    fanout: int = Field(default=100, ge=1, le=1000)
    recent_fanout: int = Field(default=10, ge=0, le=1000)
    evaluation_fanout: int | None = Field(default=None, ge=1, le=1000)
    beta: float = Field(default=0.5, ge=0)
    top: int = Field(default=200, ge=1)
    format: Literal["records", "table", "both"] = "records"

    @property
    def deterministic_fanout(self) -> int:
        """Neighbours per candidate where nothing is sampled."""
        return self.evaluation_fanout or self.fanout

    @property
    def has_neighbours_in_records(self) -> bool:
        """Whether the subgraphs stage writes neighbours into the records."""
        return self.format != "table"

    @property
    def has_table(self) -> bool:
        """Whether the subgraphs stage writes neighbour tables."""
        return self.format != "records"
