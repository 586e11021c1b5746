"""The same graph sampled by TF-GNN's own Beam sampler and by `beam_pipelines.sample_unigraph`, for `benchmarks.sampling`.

TF-GNN's sampler draws uniformly whatever the weights are. Building its Keras sampling model is not timed, its Beam pipeline is: from the
unigraph's TFRecord files to one TFRecord file of GraphTensors, on the same runner as ours.
"""

import time
from pathlib import Path
from typing import Any

_SCHEMA = """
node_sets { key: "item" value { metadata { filename: "items.tfrecord" } } }
edge_sets { key: "swing" value {
  source: "item" target: "item"
  features { key: "weight" value { dtype: DT_FLOAT } }
  metadata { filename: "swing.tfrecord" } } }
"""
_SPEC = """
seed_op { op_name: "seed" node_set_name: "item" }
sampling_ops {
  op_name: "hop" input_op_names: ["seed"] edge_set_name: "swing" sample_size: FANOUT strategy: RANDOM_UNIFORM }
"""


def write_unigraph(folder: Path, seeds: int, edges: tuple[Any, Any, Any]) -> None:
    """Write a graph of one node set, `item`, and one edge set, `swing`.

    Args:
      folder: where to.
      seeds: number of items; each of them is a seed.
      edges: (neighbour, item, weight) arrays; TF-GNN samples along an edge's direction, so an item's neighbours are its edges' targets.
    """
    import numpy as np

    from tf_e2egrec.subgraphs.example_field import ExampleField
    from tf_e2egrec.subgraphs.field_encoding import encode_fields

    def write(name: str, fields: list[ExampleField]) -> None:
        (folder / name).write_bytes(b"".join(chunk.tobytes() for chunk in encode_fields(fields)))

    def ids(key: str, values: Any) -> ExampleField:
        return ExampleField.of_bytes(
            key, [b"%d" % value for value in values.tolist()], np.arange(len(values) + 1)
        )

    folder.mkdir()
    neighbour, item, weight = edges
    (folder / "schema.pbtxt").write_text(_SCHEMA)
    write("items.tfrecord", [ids("#id", np.arange(seeds))])
    weights = ExampleField.of_floats("weight", weight, np.arange(len(weight) + 1))
    write("swing.tfrecord", [ids("#source", item), ids("#target", neighbour), weights])


def seconds_of_ours(folder: Path, fanout: int) -> float:
    """Seconds of `run_sample_unigraph`, the second run (the first compiles)."""
    from beam_pipelines.sample_unigraph import run_sample_unigraph
    from tf_e2egrec.graph.sampling_plan import SamplingPlan

    op = {"edge_set": "swing", "fanout": fanout, "direction": "outgoing"}
    plan = SamplingPlan.model_validate({"seed_node_set": "item", "ops": [op]})
    for _ in range(2):
        started = time.perf_counter()
        run_sample_unigraph(folder, plan, folder.parent / "sampled")
    return time.perf_counter() - started


def seconds_of_tfgnn(folder: Path, fanout: int) -> float:
    """Seconds of TF-GNN's pipeline."""
    import tf_e2egrec  # noqa: F401, I001 (chooses Keras 2)
    import apache_beam as beam
    from google.protobuf import text_format
    from tensorflow_gnn import sampler as sampler_lib
    from tensorflow_gnn.data import unigraph
    from tensorflow_gnn.experimental import sampler
    from tensorflow_gnn.experimental.sampler.beam import executor_lib, unigraph_utils
    from tensorflow_gnn.experimental.sampler.beam.sampler import get_sampling_model, save_artifacts

    from beam_pipelines.run import pipeline_options

    schema = unigraph.read_schema(str(folder / "schema.pbtxt"))
    spec = text_format.Parse(_SPEC.replace("FANOUT", str(fanout)), sampler_lib.SamplingSpec())
    model, layers = get_sampling_model(schema, spec)
    program, artefacts = sampler.create_program(model)
    save_artifacts(artefacts, str(folder / "artefacts"))
    started = time.perf_counter()
    with beam.Pipeline(options=pipeline_options()) as root:
        feeds = root | unigraph_utils.ReadAndConvertUnigraph(schema, str(folder))
        feeds.update({layer: feeds[edge_set] for layer, edge_set in layers.items()})
        inputs = {"Input": unigraph_utils.seeds_from_graph_dict(feeds, spec)}
        examples = executor_lib.execute(
            program, inputs, feeds=feeds, artifacts_path=str(folder / "artefacts")
        )
        _ = examples | beam.Values() | unigraph.WriteTable(str(folder / "theirs.tfrecord"))
    seconds = time.perf_counter() - started
    if not (folder / "theirs.tfrecord").stat().st_size:
        raise RuntimeError("TF-GNN's sampler wrote nothing")
    return seconds
