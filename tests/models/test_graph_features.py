import numpy as np
import tensorflow as tf

from tests.toy_data import toy_batch, toy_model, toy_record
from tf_e2egrec.models.graph_features import without_neighbours


def test_what_is_but_a_neighbour_is_left_out():
    record = toy_record(np.random.default_rng(0), candidate=100, recent=[101], neighbours={0: [(105, 1.0)]})
    graph, _ = toy_batch([record])
    ids = graph.node_sets["item"]["#id"]
    assert ids.numpy().tolist() == [100, 101, 105]
    assert without_neighbours(graph, ids).numpy().tolist() == [100, 101]


def test_the_newest_recent_item_and_the_mean_of_all_reach_the_projection():
    """Of users with several recent items, with none in the middle, and with none at the end."""
    rng = np.random.default_rng(1)
    recents = [[101, 102, 103], [], [104], []]
    records = [
        toy_record(rng, candidate=110 + i, recent=recent, neighbours={}) for i, recent in enumerate(recents)
    ]
    graph, _ = toy_batch(records)
    model = toy_model()
    seen = []
    model.graph_features.combine = lambda *parts: seen.append(parts)
    items = model.item_encoder(graph.node_sets["item"].get_features_dict())
    states = model.encode_seeds(graph, items)
    model.graph_features.call(graph, states, tf.zeros((4, 8)))
    ids = tf.gather(graph.node_sets["item"]["#id"], graph.node_sets["seed"]["item"]).numpy()
    z_of = dict(zip(ids, states.z.numpy(), strict=True))
    _, _, history, last = (part.numpy() for part in seen[0])
    for row, recent in enumerate(recents):
        of_user = np.array([z_of[key] for key in recent]) if recent else np.zeros((1, 8))
        np.testing.assert_allclose(last[row], of_user[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(history[row], of_user.mean(axis=0), rtol=1e-5, atol=1e-7)
