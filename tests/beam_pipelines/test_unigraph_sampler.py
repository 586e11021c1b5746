"""TF-GNN's own Beam sampler walks across domains over the files that the stage wrote."""

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from beam_pipelines.run import pipeline_options
from beam_pipelines.swing import run_swing
from beam_pipelines.unigraph import run_unigraph
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.dataset.ids import KEY_BITS

DAY = 86_400_000
SPEC = """
seed_op { op_name: "seed" node_set_name: "user" }
sampling_ops {
  op_name: "clicked" input_op_names: "seed" edge_set_name: "click/video" sample_size: 3 strategy: RANDOM_UNIFORM
}
sampling_ops {
  op_name: "bought" input_op_names: "clicked" edge_set_name: "swing/goods/video/reversed" sample_size: 2
  strategy: RANDOM_UNIFORM
}
"""


@pytest.fixture
def graph(tmp_path):
    random = np.random.default_rng(0)
    logs = []
    for domain in ("video", "goods"):
        log = {
            "user": random.integers(0, 10, 120),
            "item": random.integers(0, 6, 120),
            "time": 19_723 * DAY + np.arange(120),
        }
        pq.write_table(pa.table(log), tmp_path / f"{domain}.parquet")
        names = {"paths": f"{domain}.parquet", "domain": domain, "user": "user", "item": "item"}
        logs.append(
            names | {"time": {"column": "time", "unit": "ms"}, "behaviours": {"click": {"always": True}}}
        )
    content = {
        "name": "toy",
        "interactions": logs,
        "ranker": {"reward": "click", "negatives": {"per_positive": 1}},
        "graph": {"positive": ["click"], "explicit": ["click"]},
        "split": {"by": "time", "train_until": "2024-01-03", "valid_until": "2024-01-04"},
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(content))
    description = load_description(tmp_path / "toy.yaml")
    run_swing(description, tmp_path / "graph")
    run_unigraph(description, tmp_path / "graph", tmp_path / "unigraph")
    return tmp_path / "unigraph"


@pytest.mark.slow
def test_the_sampler_of_tf_gnn_crosses_domains(graph, tmp_path):
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow_gnn import sampler as sampler_v1
    from tensorflow_gnn.data import unigraph
    from tensorflow_gnn.experimental import sampler
    from tensorflow_gnn.experimental.sampler.beam import (
        accessors,
        edge_samplers,
        executor_lib,
        unigraph_utils,
    )
    from tensorflow_gnn.experimental.sampler.beam import sampler as beam_sampler

    assert accessors is not None and edge_samplers is not None  # imported for what they register
    spec = text_format.Parse(SPEC, sampler_v1.SamplingSpec())
    schema = unigraph.read_schema(str(graph / "schema.pbtxt"))
    model, mapping = beam_sampler.get_sampling_model(schema, spec)
    program, artifacts = sampler.create_program(model)
    (tmp_path / "artifacts").mkdir()
    beam_sampler.save_artifacts(artifacts, str(tmp_path / "artifacts"))
    with beam.Pipeline(options=pipeline_options()) as pipeline:
        feeds = pipeline | unigraph_utils.ReadAndConvertUnigraph(schema, str(graph))
        feeds |= {layer: feeds[name] for layer, name in mapping.items()}
        inputs = {"Input": unigraph_utils.seeds_from_graph_dict(feeds, spec)}
        samples = executor_lib.execute(
            program, inputs, feeds=feeds, artifacts_path=str(tmp_path / "artifacts")
        )
        _ = samples | beam.Values() | unigraph.WriteTable(str(tmp_path / "samples.tfrecord@1"))
    records = list(tf.data.TFRecordDataset(str(tmp_path / "samples.tfrecord-00000-of-00001")))
    assert len(records) == 10
    for record in records:
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        assert len(feature["edges/click/video.weight"].float_list.value) == 3
        goods = feature["nodes/goods.key"].int64_list.value
        assert goods
        assert all(key >> KEY_BITS == 1 for key in goods)
