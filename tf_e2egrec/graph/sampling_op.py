"""`SamplingOp`: one hop of a sampling plan."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel

SEEDS = "seeds"  # the name under which ops refer to the seed nodes


class SamplingOp(StrictModel):
    """From every node of its inputs, at most `fanout` edges of one edge set.

    Attributes:
      name: unique within the plan; `<edge set>-<number>` when absent.
      edge_set: the edges that are followed.
      inputs: `seeds` or names of earlier ops; the nodes those ops arrived at are where this one starts.
      fanout: edges per node.
      beta: edges are drawn with probability ~ weight ** beta; 0 is uniform.
      direction: `incoming` starts at the edges' targets and arrives at their sources (neighbours that send messages to the node);
        `outgoing` is the reverse.
    """

    name: str = ""
    edge_set: str
    inputs: tuple[str, ...] = Field(default=(SEEDS,), min_length=1, alias="from")
    fanout: int = Field(default=100, ge=1, le=10_000)
    beta: float = Field(default=0.5, ge=0)
    direction: Literal["incoming", "outgoing"] = "incoming"
