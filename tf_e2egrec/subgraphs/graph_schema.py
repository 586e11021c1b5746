"""The GraphSchema of the subgraph records, derived from the description."""

from pathlib import Path

import tensorflow as tf
import tensorflow_gnn as tfgnn
from google.protobuf import text_format

from tf_e2egrec.dataset.description import DatasetDescription

READOUT = "_readout"
LABELS = ("reward", "stay")

_READOUT_FIELDS = {
    "reward": tf.float32,
    "stay": tf.float32,
    "content_duration": tf.float32,
    "time": tf.int64,
    "impression_id": tf.int64,
    "user_id": tf.int64,
    "item_id": tf.int64,
}


def build_graph_schema(description: DatasetDescription) -> tfgnn.GraphSchema:
    """The schema of one impression's subgraph (docs/design.md, "Subgraph record")."""
    schema = tfgnn.GraphSchema()
    schema.node_sets[
        "item"
    ].description = "the candidate, then recent items (newest first), then their neighbours"
    _add(schema.node_sets["item"], {"#id": tf.int64})
    _add(schema.node_sets["user"], {"#id": tf.int64})
    context = {
        feature.name: tf.int64 if feature.type == "categorical" else tf.float32
        for feature in description.context_features
    }
    _add(schema.node_sets[READOUT], _READOUT_FIELDS | context)
    edge_sets: dict[str, tuple[str, str, dict[str, tf.DType]]] = {
        "swing": ("item", "item", {"weight": tf.float32, "propagation_weight": tf.float32}),
        "recent": ("item", "user", {"age": tf.float32}),
        f"{READOUT}/candidate": ("item", READOUT, {}),
        f"{READOUT}/user": ("user", READOUT, {}),
    }
    for name, (source, target, features) in edge_sets.items():
        schema.edge_sets[name].source, schema.edge_sets[name].target = source, target
        _add(schema.edge_sets[name], features)
    return schema


def write_schema(schema: tfgnn.GraphSchema, path: Path) -> None:
    """Write the schema as a text proto, the form that TF-GNN's tools read."""
    path.write_text(text_format.MessageToString(schema), encoding="utf-8")


def record_spec(description: DatasetDescription) -> tfgnn.GraphTensorSpec:
    """The GraphTensorSpec of one record, for `tfgnn.parse_example`."""
    return tfgnn.create_graph_spec_from_schema_pb(build_graph_schema(description))


def seed_spec(description: DatasetDescription) -> tfgnn.GraphTensorSpec:
    """The same without the edge set `swing`: all that is read of a record whose neighbours come from a table."""
    schema = build_graph_schema(description)
    del schema.edge_sets["swing"]
    return tfgnn.create_graph_spec_from_schema_pb(schema)


def _add(target: object, features: dict[str, tf.DType]) -> None:
    for name, dtype in features.items():
        target.features[name].dtype = dtype.as_datatype_enum  # type: ignore[attr-defined]
