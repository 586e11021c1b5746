"""`GraphSpec`: which rows make the graph, and how."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.node_set_spec import NodeSetSpec
from tf_e2egrec.dataset.description.row_filter import RowFilter
from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
from tf_e2egrec.dataset.description.snapshot_spec import SnapshotSpec
from tf_e2egrec.dataset.description.strict_model import StrictModel
from tf_e2egrec.dataset.description.swing_spec import SwingSpec

EdgeKind = Literal["swing", "co-occurrence", "random", "two-hop"]

# What only the heterogeneous graph depends on; other stages leave these keys out of their fingerprints.
HETEROGENEOUS_KEYS = ("explicit_half_life", "explicit_max_per_node", "node_sets")


class GraphSpec(StrictModel):
    """The graph's side of the data.

    Attributes:
      regime: `equal` (the graph sees exactly the rows the ranker trains on) or `cross-domain` (it sees more:
        other domains, other surfaces, users without labels). Every result is reported with it.
      rows: filters; all must hold. With `regime: equal` the ranker's filters apply and none may be given.
      positive: behaviours that make a Swing interaction (any of them).
      explicit: behaviours that make a user-item edge, that is, a recent item (any of them).
      recent: recent items kept per impression.
      edges: what links two items: `swing`, or one of the controls, `co-occurrence` (the number of common users, with Swing's
        caps), `random` (the Swing graph with its neighbours exchanged at random, all degrees kept) or `two-hop` (Swing's
        neighbours and theirs, so that one hop does what two would do; `swing.top` of them).
      snapshots, swing, sampling: see there.
      explicit_half_life: heterogeneous graph only; how fast an explicit edge's weight fades (`7d`; a fraction
        for `unit: rank`). Absent: the weight is the number of events.
      explicit_max_per_node: heterogeneous graph only; the most recent explicit edges kept per user, and then
        per item, of each edge set.
      node_sets: heterogeneous graph only; node sets of item feature values.
    """

    regime: Literal["equal", "cross-domain"] = "equal"
    rows: list[RowFilter] = []
    positive: list[str] = Field(min_length=1)
    explicit: list[str] = Field(min_length=1)
    recent: int = Field(default=20, ge=1, le=1000)
    edges: EdgeKind = "swing"
    snapshots: SnapshotSpec = SnapshotSpec()
    swing: SwingSpec = SwingSpec()
    sampling: SamplingSpec = SamplingSpec()
    explicit_half_life: str | float | None = None
    explicit_max_per_node: int = Field(default=1000, ge=1)
    node_sets: list[NodeSetSpec] = []
