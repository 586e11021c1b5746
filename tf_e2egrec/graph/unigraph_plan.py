"""`UnigraphPlan`: the node and edge sets of the heterogeneous graph of a description."""

import dataclasses
import re

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.dataset.time_axis import parse_duration
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.edge_set_plan import EdgeSetPlan
from tf_e2egrec.graph.node_set_plan import NodeSetPlan
from tf_e2egrec.graph.snapshots import SnapshotPlan

USERS = 0  # number of the user node set
RESERVED_FEATURES = ("key", "original_id")  # every node of users and items has them
_SHARD_SEED = 0x756E6967  # spreads nodes over files; nothing else depends on it
_FILE_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


@dataclasses.dataclass(frozen=True)
class UnigraphPlan:
    """What goes into the graph of one snapshot.

    Attributes:
      node_sets: users first, then the item domains in their order, then the sets of feature values.
      edge_sets: Swing sets per ordered pair of domains, explicit sets per behaviour and domain, sets of feature
        values.
      snapshot: id of the snapshot.
      start, end: its window: only events in `[start, end)` make edges.
      max_per_node: cap of explicit edges per user and per item.
      half_life: of explicit edges, `EventBlock.time` units; None where they do not fade.
    """

    node_sets: tuple[NodeSetPlan, ...]
    edge_sets: tuple[EdgeSetPlan, ...]
    snapshot: int
    start: int
    end: int
    max_per_node: int
    half_life: int | None

    @staticmethod
    def from_description(description: DatasetDescription, snapshot: int) -> "UnigraphPlan":
        """The plan of a description for a snapshot.

        Raises:
          E2EGRecError: a name cannot be a file name, two sets have one name, or the half-life is no duration.
        """
        graph = description.graph
        start, end = SnapshotPlan.from_description(description).window_of(snapshot)
        half_life = None
        if graph.explicit_half_life is not None:
            key = "graph.explicit_half_life"
            half_life = parse_duration(graph.explicit_half_life, key, description.time_is_rank)
        node_sets = _node_sets(description)
        edge_sets = (
            _swing_sets(description)
            + _explicit_sets(description)
            + [
                EdgeSetPlan(
                    f"{node_sets[1 + one.domain].name}/{one.name}", "value", 1 + one.domain, i, _WEIGHT
                )
                for i, one in enumerate(node_sets)
                if one.kind == "value"
            ]
        )
        for feature in description.item_features + description.user_features:
            if feature.name in RESERVED_FEATURES:
                raise E2EGRecError(
                    f"the feature name `{feature.name}` is reserved for nodes; give it another `name`"
                )
        _check_names([one.name for one in node_sets], "node set")
        _check_names([one.name for one in edge_sets], "edge set")
        return UnigraphPlan(
            node_sets=tuple(node_sets),
            edge_sets=tuple(edge_sets),
            snapshot=snapshot,
            start=start,
            end=end,
            max_per_node=graph.explicit_max_per_node,
            half_life=half_life,
        )

    def edge_sets_of_kind(self, kind: str) -> list[tuple[int, EdgeSetPlan]]:
        """The edge sets of a kind, with their numbers."""
        return [(i, one) for i, one in enumerate(self.edge_sets) if one.kind == kind]

    def sides_of(self, node_set: int) -> list[int]:
        """The sides of edge sets that end in a node set: `2 * edge_set` for its sources, `+ 1` for its targets."""
        sides = [side for one in self.edge_sets for side in (one.source, one.target)]
        return [side for side, end in enumerate(sides) if end == node_set]


def shard_of_keys(keys: np.ndarray, shards: int) -> np.ndarray:
    """The file shard of each node, and of the edges that are kept with it; int64 [n] in [0, shards)."""
    return (hash_keys(_SHARD_SEED, keys) % np.uint64(shards)).astype(np.int64)


_WEIGHT = {"weight": "float32"}


def _node_sets(description: DatasetDescription) -> list[NodeSetPlan]:
    sets = [NodeSetPlan("user", "user", tuple(description.user_features))]
    domain_of: dict[str, int] = {}
    for number, domain in enumerate(description.domains):
        tables = [table for table in description.items if table.domain == domain]
        features = tuple(feature for table in tables for feature in table.features)
        domain_of |= {feature.name: number for feature in features}
        sets.append(NodeSetPlan(domain, "item", features, number))
    for spec in description.graph.node_sets:
        sets.append(NodeSetPlan(spec.name, "value", (), domain_of[spec.feature], spec.feature))
    return sets


def _swing_sets(description: DatasetDescription) -> list[EdgeSetPlan]:
    features = _WEIGHT | ({"normalised": "float32"} if description.graph.swing.normalise else {})
    domains = _graph_domains(description)
    return [
        EdgeSetPlan(f"swing/{source}/{target}", "swing", 1 + i, 1 + j, features)
        for i, source in domains
        for j, target in domains
    ]


def _explicit_sets(description: DatasetDescription) -> list[EdgeSetPlan]:
    """One per behaviour and domain, where a log of the domain declares the behaviour."""
    declared = {
        (log.domain, name)
        for log in description.interactions
        if log.feeds != "ranker"
        for name in log.behaviours
    }
    bits = {name: bit for bit, name in enumerate(description.behaviour_names)}
    return [
        EdgeSetPlan(f"{name}/{domain}", "explicit", USERS, 1 + i, {"time": "int64"} | _WEIGHT, bits[name])
        for name in dict.fromkeys(description.graph.explicit)
        for i, domain in _graph_domains(description)
        if (domain, name) in declared
    ]


def _graph_domains(description: DatasetDescription) -> list[tuple[int, str]]:
    """Number and name of the domains that have a log that feeds the graph."""
    feeding = {log.domain for log in description.interactions if log.feeds != "ranker"}
    return [(i, domain) for i, domain in enumerate(description.domains) if domain in feeding]


def _check_names(names: list[str], what: str) -> None:
    for name in names:
        if not all(_FILE_NAME.match(part) for part in name.split("/")):
            raise E2EGRecError(
                f"the {what} `{name}` cannot be a file name; rename its domain or behaviour with letters, digits and _"
            )
        if names.count(name) > 1:
            raise E2EGRecError(
                f"two {what}s would be called `{name}`; rename a domain, a behaviour or an entry of `graph.node_sets`"
            )
