"""`SampledGraphLayout`: sampled subgraphs as GraphTensor features in TF-GNN's `tf.train.Example` encoding."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tf_e2egrec.graph.heterogeneous_sample import HeterogeneousSample
from tf_e2egrec.graph.sampling_plan import SamplingPlan
from tf_e2egrec.subgraphs.example_field import ExampleField
from tf_e2egrec.subgraphs.unigraph_feature import UnigraphFeature
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet

READOUT, SEED_EDGES = "_readout", "_readout/seed"
WEIGHT, TO_TARGET, TO_SOURCE = "weight", "propagation_weight", "reverse_propagation_weight"


@dataclasses.dataclass(frozen=True)
class SampledGraphLayout:
    """What a record holds.

    Every node has `#id` (int64 key) and its features, every edge its features, `weight`, and `propagation_weight` (its share in the mean
    over its target's sources) or `reverse_propagation_weight` (in the mean over its source's targets), as the ops' directions need. The
    node set `_readout` has one node with `seed_id` and `target_id`, and `_readout/seed` connects the seed with it.

    Attributes:
      plan: the ops.
      nodes: node sets by name.
      edges: edge sets by name.
    """

    plan: SamplingPlan
    nodes: dict[str, UnigraphSet]
    edges: dict[str, UnigraphSet]

    def edge_features(self, name: str) -> list[UnigraphFeature]:
        """Features of an edge set besides the weights."""
        own = (WEIGHT, TO_TARGET, TO_SOURCE)
        return [feature for feature in self.edges[name].features if feature.name not in own]

    def directions(self, name: str) -> set[str]:
        """The directions in which ops follow an edge set."""
        return {op.direction for op in self.plan.ops if op.edge_set == name}

    def fields(
        self,
        sample: HeterogeneousSample,
        targets: np.ndarray,
        node_rows: Mapping[str, pa.Table],
        edge_rows: Mapping[str, pa.Table],
    ) -> list[ExampleField]:
        """The features of every record.

        Args:
          sample: n subgraphs.
          targets: int64 [n] keys, -1 for none.
          node_rows: by node set, the features `f:<name>` of each of `sample.nodes[...].keys`; sets without features may be absent.
          edge_rows: by edge set, the features `f:<name>` of the edges that `row` refers to.
        """
        fields = self._readout_fields(sample, targets)
        for name, nodes in sample.nodes.items():
            prefix = f"nodes/{name}."
            fields += _sizes(prefix, nodes.indptr)
            fields.append(ExampleField.of_ints(f"{prefix}#id", nodes.keys, nodes.indptr))
            for feature in self.nodes[name].features:
                values = node_rows[name].column(f"f:{feature.name}")
                fields.append(_field(prefix, feature, values, nodes.indptr))
        for name, edges in sample.edges.items():
            prefix = f"edges/{name}."
            fields += _sizes(prefix, edges.indptr)
            fields.append(ExampleField.of_ints(f"{prefix}#source", edges.source, edges.indptr))
            fields.append(ExampleField.of_ints(f"{prefix}#target", edges.target, edges.indptr))
            floats = {WEIGHT: edges.weight, TO_TARGET: edges.to_target, TO_SOURCE: edges.to_source}
            fields += [
                ExampleField.of_floats(f"{prefix}{key}", values, edges.indptr)
                for key, values in floats.items()
                if values is not None
            ]
            rows = edge_rows[name].take(pa.array(edges.row))
            for feature in self.edge_features(name):
                fields.append(_field(prefix, feature, rows.column(f"f:{feature.name}"), edges.indptr))
        return fields

    def _readout_fields(self, sample: HeterogeneousSample, targets: np.ndarray) -> list[ExampleField]:
        once, zero = np.arange(len(sample) + 1), np.zeros(len(sample), np.int64)
        columns = {
            f"nodes/{READOUT}.#size": zero + 1,
            f"nodes/{READOUT}.seed_id": sample.seeds,
            f"nodes/{READOUT}.target_id": targets,
            f"edges/{SEED_EDGES}.#size": zero + 1,
            f"edges/{SEED_EDGES}.#source": zero,
            f"edges/{SEED_EDGES}.#target": zero,
        }
        return [ExampleField.of_ints(key, values, once) for key, values in columns.items()]


def _sizes(prefix: str, indptr: np.ndarray) -> list[ExampleField]:
    return [ExampleField.of_ints(f"{prefix}#size", np.diff(indptr), np.arange(len(indptr)))]


def _field(
    prefix: str, feature: UnigraphFeature, values: pa.ChunkedArray, indptr: np.ndarray
) -> ExampleField:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    flat = array if feature.width == 1 else array.flatten()
    key, bounds = f"{prefix}{feature.name}", indptr * feature.width
    if feature.kind == "bytes":
        return ExampleField.of_bytes(key, flat.to_pylist(), bounds)
    numbers = flat.to_numpy(zero_copy_only=False)
    make = ExampleField.of_ints if feature.kind == "int" else ExampleField.of_floats
    return make(key, numbers, bounds)
