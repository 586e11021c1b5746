import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.retrieval.toys import clusters
from tf_e2egrec.retrieval.export import export_recommender

K = 6


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    split = clusters()
    split = split._replace(user_keys=split.user_keys * 7 + 3, item_keys=split.item_keys * 5 + 100)
    rng = np.random.default_rng(0)
    users, items = (
        rng.standard_normal((len(keys), 4)).astype(np.float32) for keys in (split.user_keys, split.item_keys)
    )
    np.savez(folder / "vectors.npz", users=users, items=items)
    path = export_recommender(folder, split, folder / "model", K)
    assert path.name == "1"
    assert export_recommender(folder, split, folder / "model", K).name == "2"
    return split, users, items, tf.saved_model.load(str(path)).signatures


def test_known_users_get_their_best_unseen_items(exported):
    split, users, items, signatures = exported
    seen = sp.csr_array(split.train + split.valid + split.test).toarray() > 0
    found = signatures["recommend"](user_id=tf.constant(split.user_keys))
    scores = np.where(seen, -np.inf, users @ items.T)
    order = np.argsort(-scores, axis=1)[:, :K]
    np.testing.assert_array_equal(found["items"], split.item_keys[order])
    np.testing.assert_allclose(found["scores"], np.take_along_axis(scores, order, 1), rtol=1e-5)
    assert (found["num_items"].numpy() == K).all()


def test_unknown_users_get_popular_items(exported):
    split, *_, signatures = exported
    found = signatures["recommend"](user_id=tf.constant([1, -1], tf.int64))
    counts = np.sort(split.train.toarray().sum(0))[::-1][:K]
    np.testing.assert_array_equal(found["scores"], np.stack([counts, counts]))


def test_a_history_is_enough(exported):
    split, _, items, signatures = exported
    recent = split.item_keys[[3, 8]]
    found = signatures["retrieve"](recent=tf.constant(recent[np.newaxis]), num_recent=tf.constant([2]))
    scores = items[[3, 8]].mean(axis=0) @ items.T
    scores[[3, 8]] = -np.inf
    np.testing.assert_array_equal(found["items"][0], split.item_keys[np.argsort(-scores)[:K]])


def test_the_saved_model_holds_core_ops_alone(exported):
    signatures = exported[-1]
    for signature in signatures.values():
        definition = signature.graph.as_graph_def()
        nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
        assert not {node.op for node in nodes if "PyFunc" in node.op}
