"""`UnigraphStatistics`: nodes, edges and degrees of every set of a heterogeneous graph."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_e2egrec.graph.degree_histogram import DegreeHistogram
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan

ALL_SIDES = -1  # stands for the sum of a node's degrees over all edge sets


@dataclasses.dataclass(frozen=True)
class UnigraphStatistics:
    """What was written.

    Attributes:
      records: nodes or edges of `nodes/<set>` and `edges/<set>`.
      newest_time: time of the newest event of `edges/<set>`, for sets with times and edges.
      degrees: (node set, side of an edge set or `ALL_SIDES`) -> histogram over the node set.
    """

    records: Mapping[str, int]
    newest_time: Mapping[str, int]
    degrees: Mapping[tuple[int, int], DegreeHistogram]

    def node_sets(self, plan: UnigraphPlan) -> dict[str, dict[str, Any]]:
        """Node set -> `nodes`, and `degree` over all edge sets (`DegreeHistogram.summary`)."""
        return {
            one.name: {
                "nodes": self.records[f"nodes/{one.name}"],
                "degree": self.degrees[number, ALL_SIDES].summary(),
            }
            for number, one in enumerate(plan.node_sets)
        }

    def edge_sets(self, plan: UnigraphPlan) -> dict[str, dict[str, Any]]:
        """Edge set -> `source`, `target`, `edges`, `newest_time` (of explicit sets), `source_degree`, `target_degree`."""
        described: dict[str, dict[str, Any]] = {}
        for number, one in enumerate(plan.edge_sets):
            name = f"edges/{one.name}"
            described[one.name] = {
                "source": plan.node_sets[one.source].name,
                "target": plan.node_sets[one.target].name,
                "edges": self.records[name],
                "source_degree": self.degrees[one.source, 2 * number].summary(),
                "target_degree": self.degrees[one.target, 2 * number + 1].summary(),
            }
            if name in self.newest_time:
                described[one.name]["newest_time"] = self.newest_time[name]
        return described
