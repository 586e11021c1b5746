"""`RecordFeature`: one feature of a subgraph record; the list of them is what the encoder and the GraphSchema agree on."""

import dataclasses
from typing import Literal

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription

NODE_SETS = ("item", "user", "_readout")
EDGE_SETS = {  # name -> (source node set, target node set)
    "swing": ("item", "item"),
    "recent": ("item", "user"),
    "_readout/candidate": ("item", "_readout"),
    "_readout/user": ("user", "_readout"),
}
READOUT_FLOATS = ("reward", "stay", "content_duration")
READOUT_INTS = ("time", "impression_id", "user_id", "item_id")


@dataclasses.dataclass(frozen=True)
class RecordFeature:
    """A feature in TF-GNN's `tf.train.Example` encoding.

    Attributes:
      set_name: node set or edge set.
      name: feature name within the set; `#id` for keys. `#size`, `#source` and `#target` are implied by the set.
      dtype: `int64` or `float32`.
      is_edge: whether the set is an edge set.
    """

    set_name: str
    name: str
    dtype: Literal["int64", "float32"]
    is_edge: bool = False

    @property
    def key(self) -> str:
        """The key in the Example, such as `nodes/item.#id`."""
        return f"{'edges' if self.is_edge else 'nodes'}/{self.set_name}.{self.name}"


def subgraph_features(description: DatasetDescription) -> list[RecordFeature]:
    """Every feature of a subgraph record, besides sizes and adjacencies, in the order of their keys."""
    features = [
        RecordFeature("item", "#id", "int64"),
        RecordFeature("user", "#id", "int64"),
        RecordFeature("swing", "weight", "float32", is_edge=True),
        RecordFeature("swing", "propagation_weight", "float32", is_edge=True),
        RecordFeature("recent", "age", "float32", is_edge=True),
    ]
    features += [RecordFeature("_readout", name, "float32") for name in READOUT_FLOATS]
    features += [RecordFeature("_readout", name, "int64") for name in READOUT_INTS]
    features += [
        RecordFeature("_readout", spec.name, "int64" if spec.type == "categorical" else "float32")
        for spec in description.context_features
    ]
    return sorted(features, key=lambda feature: feature.key)
