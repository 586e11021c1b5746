"""The GraphSchema of the heterogeneous graph, with the files that TF-GNN's unigraph reader reads."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.graph.unigraph_plan import UnigraphPlan

REVERSED = "/reversed"  # ending of the name of an edge set that reads another's files from target to source


def build_unigraph_schema(plan: UnigraphPlan, records: Mapping[str, int], shards: int) -> tfgnn.GraphSchema:
    """The schema of one snapshot.

    File names are relative to the schema file's folder. Every edge set has a reversed twin that reads the same
    files (the metadata key `edge_type`).

    Args:
      plan: the graph.
      records: nodes or edges of `nodes/<set>` and `edges/<set>`.
      shards: files per set.
    """
    schema = tfgnn.GraphSchema()
    for node_set in plan.node_sets:
        name = f"nodes/{node_set.name}"
        node_proto = schema.node_sets[node_set.name]
        _add(node_proto, "key", tf.int64)
        if node_set.kind != "value":
            _add(node_proto, "original_id", tf.string)
        for feature in node_set.features:
            dtype = tf.int64 if feature.type == "categorical" else tf.float32
            is_list = feature.multivalued or feature.type == "dense"
            _add(node_proto, feature.name, dtype, feature.width if is_list else None)
        node_proto.metadata.filename = f"{name}.tfrecord@{shards}"
        node_proto.metadata.cardinality = records[name]
    for edge_set in plan.edge_sets:
        name = f"edges/{edge_set.name}"
        ends = [plan.node_sets[end].name for end in (edge_set.source, edge_set.target)]
        for ending in ("", REVERSED):
            edge_proto = schema.edge_sets[edge_set.name + ending]
            edge_proto.source, edge_proto.target = ends if not ending else reversed(ends)
            for feature_name, feature_type in edge_set.features.items():
                _add(edge_proto, feature_name, tf.as_dtype(feature_type))
            edge_proto.metadata.filename = f"{name}.tfrecord@{shards}"
            edge_proto.metadata.cardinality = records[name]
        extra = schema.edge_sets[edge_set.name + REVERSED].metadata.extra.add()
        extra.key, extra.value = "edge_type", "reversed"
    return schema


def _add(proto: object, name: str, dtype: tf.DType, width: int | None = None) -> None:
    feature = proto.features[name]  # type: ignore[attr-defined]
    feature.dtype = dtype.as_datatype_enum
    if width is not None:
        feature.shape.dim.add().size = width
