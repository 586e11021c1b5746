"""`NodeSetPlan`: one node set of the heterogeneous graph."""

import dataclasses
from typing import Literal

import numpy as np

from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.node_table import NodeTable


@dataclasses.dataclass(frozen=True)
class NodeSetPlan:
    """What a node set is made of.

    Attributes:
      name: the node set.
      kind: `user`, `item` (the items of a domain) or `value` (the values of an item feature).
      features: what its nodes carry besides their key.
      domain: number of the item domain; -1 for users. Of `value` sets: of the items that have the feature.
      value_of: `value` sets only; the item feature.
    """

    name: str
    kind: Literal["user", "item", "value"]
    features: tuple[FeatureSpec, ...] = ()
    domain: int = -1
    value_of: str = ""

    def no_nodes(self) -> NodeTable:
        """A table of no nodes with the set's features."""
        none = np.zeros(0, np.int64)
        features = {
            one.name: np.zeros(
                (0, one.width) if one.multivalued or one.type == "dense" else 0,
                np.int64 if one.type == "categorical" else np.float32,
            )
            for one in self.features
        }
        return NodeTable(none, none.astype(str), features)
