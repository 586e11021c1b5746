"""What moved out of `E2EGRec` keeps its numbers and its place in files of trained models."""

import io
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_model, toy_records
from tf_e2egrec.models.impression_vectors import ImpressionVectors
from tf_e2egrec.models.ranker import mean_by_target

# Where Keras keeps the weights of a model with both levels of fusion: by attribute, or by class and number.
PLACES = {
    "layers/attention_fusion", "layers/dense", "layers/dense_1", "layers/entity_encoder", "layers/feature_embedding",
    "layers/gated_concat_fusion", "layers/graph_features", "layers/task_balancer", "ranker_context", "ranker_item",
    "ranker_user", "ranking_features", "reward_tower", "shared_tower", "stay_tower", "user_encoder",
}  # fmt: skip


def test_layers_keep_their_place_in_the_file(tmp_path):
    """A model that an older version saved has to find each of its layers."""
    toy_model("R5-gate-attention").save(tmp_path / "model.keras")
    weights = zipfile.ZipFile(tmp_path / "model.keras").read("model.weights.h5")
    names: list[str] = []
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(lambda name, value: names.append(name) if isinstance(value, h5py.Dataset) else None)
    found = {"/".join(name.split("/")[: 2 if name.startswith("layers/") else 1]) for name in names}
    assert found >= PLACES, PLACES - found


def test_mean_by_target():
    values = tf.constant([[1.0, 2.0], [3.0, 6.0], [5.0, 0.0]])
    found = mean_by_target(values, tf.constant([0, 1, 1, 2]), tf.constant([0, 0, 2, 2]), tf.constant(3))
    np.testing.assert_allclose(found, [[2.0, 4.0], [0.0, 0.0], [4.0, 3.0]])


@pytest.mark.parametrize("name", ["R0", "R1", "R2", "R5"])
def test_vectors_rank_as_the_graph_does_where_nobody_has_recent_items(name):
    """Without recent items and neighbours, all that the ranker needs are the vectors of candidates and users."""
    graph, _ = toy_batch(toy_records(12))
    model = toy_model(name)
    recent = graph.edge_sets["recent"].adjacency
    lonely = np.setdiff1d(np.arange(12), recent.target.numpy())
    assert len(lonely) > 0
    items = graph.node_sets["item"].get_features_dict()
    seed = tf.gather(graph.node_sets["seed"]["item"], graph.edge_sets["_readout/candidate"].adjacency.source)
    ranker, x = (tf.gather(one, seed) for one in model.item_vectors(items))
    user, user_x = model.user_vectors(graph.node_sets["user"].get_features_dict())
    z = x if name == "R0" else model.candidate_z(graph)
    nothing = tf.zeros_like(x)
    answer = model.rank_vectors(
        ImpressionVectors(
            user=user,
            user_x=user_x,
            candidate=ranker,
            candidate_z=z,
            candidate_key=tf.gather(items["#id"], seed),
            history=tf.zeros_like(ranker),
            history_x=nothing,
            history_z=nothing,
            last_z=nothing,
            has_history=tf.zeros([12], tf.bool),
            context=graph.node_sets["_readout"].get_features_dict(),
        )
    )
    expected = model(graph, training=False)
    for output in ("reward", "stay_seconds"):
        np.testing.assert_allclose(
            tf.gather(answer[output], lonely), tf.gather(expected[output], lonely), rtol=1e-5
        )
