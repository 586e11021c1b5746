"""From the GraphSchema of a graph on disk to the sets that are read, and to the GraphSchema of what is sampled from it."""

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.sampled_graph_layout import (
    READOUT,
    SEED_EDGES,
    TO_SOURCE,
    TO_TARGET,
    WEIGHT,
    SampledGraphLayout,
)
from tf_e2egrec.subgraphs.unigraph_feature import Kind, UnigraphFeature
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet


def read_unigraph_schema(graph_dir: Path) -> tfgnn.GraphSchema:
    """Read the one `*.pbtxt` file of a graph's folder.

    Raises:
      E2EGRecError: there is not exactly one, or it is no GraphSchema.
    """
    found = sorted(graph_dir.glob("*.pbtxt"))
    if len(found) != 1:
        raise E2EGRecError(
            f"{graph_dir} holds {len(found)} .pbtxt files; a unigraph has one, its GraphSchema"
        )
    try:
        return tfgnn.read_schema(str(found[0]))
    except Exception as error:
        raise E2EGRecError(f"{found[0]} is no GraphSchema: {' '.join(str(error).split())}") from None


def unigraph_sets(schema: tfgnn.GraphSchema) -> tuple[dict[str, UnigraphSet], dict[str, UnigraphSet]]:
    """(node sets, edge sets) by name, without the auxiliary ones (`_readout`).

    Raises:
      E2EGRecError: an edge set names no file, or a feature is ragged.
    """
    nodes = {
        name: UnigraphSet(name, one.metadata.filename, _features(name, one))
        for name, one in schema.node_sets.items()
        if not name.startswith("_")
    }
    edges = {}
    for name, one in schema.edge_sets.items():
        if name.startswith("_"):
            continue
        if not one.metadata.filename:
            raise E2EGRecError(f"the schema names no file for the edge set `{name}` (metadata.filename)")
        is_reversed = any(pair.key == "edge_type" and pair.value == "reversed" for pair in one.metadata.extra)
        edges[name] = UnigraphSet(
            name, one.metadata.filename, _features(name, one), one.source, one.target, is_reversed
        )
    return nodes, edges


def sampled_graph_schema(layout: SampledGraphLayout, graph: tfgnn.GraphSchema) -> tfgnn.GraphSchema:
    """The schema of the records, for `tfgnn.create_graph_spec_from_schema_pb`.

    Args:
      layout: of the records.
      graph: schema of the graph that was sampled; features keep their types, shapes and descriptions.
    """
    schema = tfgnn.GraphSchema()
    for name, table in layout.nodes.items():
        _copy_features(schema.node_sets[name], graph.node_sets[name], [one.name for one in table.features])
        _add(schema.node_sets[name], "#id", tf.int64)
    for name, table in layout.edges.items():
        edge_set = schema.edge_sets[name]
        edge_set.source, edge_set.target = table.source, table.target
        _copy_features(edge_set, graph.edge_sets[name], [one.name for one in layout.edge_features(name)])
        _add(edge_set, WEIGHT, tf.float32)
        for direction, feature in (("incoming", TO_TARGET), ("outgoing", TO_SOURCE)):
            if direction in layout.directions(name):
                _add(edge_set, feature, tf.float32)
    for name in ("seed_id", "target_id"):
        _add(schema.node_sets[READOUT], name, tf.int64)
    schema.edge_sets[SEED_EDGES].source = layout.plan.seed_node_set
    schema.edge_sets[SEED_EDGES].target = READOUT
    return schema


def _features(set_name: str, piece: Any) -> tuple[UnigraphFeature, ...]:
    features = []
    for name, feature in sorted(piece.features.items()):
        if name.startswith("#"):
            continue
        sizes = [dimension.size for dimension in feature.shape.dim]
        if any(size < 1 for size in sizes):
            raise E2EGRecError(
                f"the feature `{name}` of `{set_name}` has a ragged shape; only fixed shapes can be joined in"
            )
        dtype = tf.dtypes.as_dtype(feature.dtype)
        kind: Kind = "float" if dtype.is_floating else "int" if dtype.is_integer or dtype.is_bool else "bytes"
        width = 1
        for size in sizes:
            width *= size
        features.append(UnigraphFeature(name, kind, width))
    return tuple(features)


def _copy_features(target: Any, source: Any, names: list[str]) -> None:
    for name in names:
        target.features[name].CopyFrom(source.features[name])


def _add(piece: Any, name: str, dtype: tf.DType) -> None:
    piece.features[name].dtype = dtype.as_datatype_enum
