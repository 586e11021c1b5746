"""The sampling stage on what the unigraph stage writes: two domains, text names with slashes, keys with a domain."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from beam_pipelines.sample_unigraph import run_sample_unigraph
from beam_pipelines.swing import run_swing
from beam_pipelines.unigraph import run_unigraph
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.dataset.ids import KEY_BITS
from tf_e2egrec.graph.sampling_plan import SamplingPlan

DAY = 86_400_000
PLAN = {
    "seed_node_set": "user",
    "ops": [
        {"name": "clicked", "edge_set": "click/video", "fanout": 3, "direction": "outgoing"},
        {"name": "across", "edge_set": "swing/goods/video", "from": ["clicked"], "fanout": 2},
    ],
}


def test_the_stage_samples_across_domains(tmp_path):
    import tensorflow as tf
    import tensorflow_gnn as tfgnn

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
        when = {"time": {"column": "time", "unit": "ms"}, "behaviours": {"click": {"always": True}}}
        logs.append(names | when)
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
    graph = run_unigraph(description, tmp_path / "graph", tmp_path / "unigraph")

    manifest = run_sample_unigraph(
        tmp_path / "unigraph", SamplingPlan.model_validate(PLAN), tmp_path / "sampled"
    )
    assert manifest.upstream == graph.fingerprint
    assert manifest.newest_edge_time == graph.newest_edge_time
    schema = tfgnn.read_schema(str(tmp_path / "sampled" / "schema.pbtxt"))
    spec = tfgnn.create_graph_spec_from_schema_pb(schema)
    files = sorted(str(path) for path in (tmp_path / "sampled").glob("samples.tfrecord-*"))
    records = tf.stack(list(tf.data.TFRecordDataset(files)))
    sampled = tfgnn.parse_example(spec, records).merge_batch_to_components()
    assert sorted(sampled.node_sets["_readout"]["seed_id"].numpy().tolist()) == list(range(10))
    goods = sampled.node_sets["goods"]
    assert len(goods["#id"]) > 0
    assert (goods["#id"].numpy() >> KEY_BITS == 1).all()
    np.testing.assert_array_equal(goods["key"], goods["#id"])  # a feature that was joined in
    clicks = sampled.edge_sets["click/video"]
    assert np.bincount(clicks.adjacency.source.numpy()).max() == 3
    assert manifest.counters["nodes/goods"] == len(goods["#id"])
