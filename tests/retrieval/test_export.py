import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.retrieval.toys import clusters
from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.retrieval.export import export_recommender

K = 6


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    split = clusters()
    split = split._replace(user_keys=split.user_keys * 7 + 3, item_keys=split.item_keys * 5 + 100)
    rng = np.random.default_rng(0)
    users, items, history = (
        rng.standard_normal((len(keys), 4)).astype(np.float32)
        for keys in (split.user_keys, split.item_keys, split.item_keys)
    )
    np.savez(folder / "vectors.npz", users=users, items=items, history=history)
    path = export_recommender(folder, split, folder / "model", K)
    assert path.name == "1"
    assert export_recommender(folder, split, folder / "model", K).name == "2"
    return split, users, items, history, tf.saved_model.load(str(path)).signatures


def test_known_users_get_their_best_unseen_items(exported):
    split, users, items, _, signatures = exported
    seen = sp.csr_array(split.train + split.valid + split.test).toarray() > 0
    found = signatures["recommend"](user_id=tf.constant(split.user_keys))
    scores = np.where(seen, -np.inf, users @ items.T)
    order = np.argsort(-scores, axis=1)[:, :K]
    np.testing.assert_array_equal(found["items"], split.item_keys[order])
    np.testing.assert_allclose(found["scores"], np.take_along_axis(scores, order, 1), rtol=1e-5)
    assert (found["num_items"].numpy() == K).all()


def test_text_goes_in_and_out_where_ids_are_text(exported, tmp_path):
    split, users, items, history, integers = exported
    names = np.array([f"Straße {n}" for n in range(len(split.user_keys))], object)
    titles = np.array([f"item {n}" for n in range(len(split.item_keys))], object)
    user_keys, item_keys = string_keys(names), string_keys(titles)
    by_user, by_item = (
        np.argsort(user_keys),
        np.argsort(item_keys),
    )  # the rows of a split are in the order of keys
    split = split._replace(
        user_keys=user_keys[by_user],
        item_keys=item_keys[by_item],
        **{name: getattr(split, name)[by_user][:, by_item] for name in ("train", "valid", "test")},
    )
    np.savez(tmp_path / "vectors.npz", users=users[by_user], items=items[by_item], history=history[by_item])
    path = export_recommender(tmp_path, split, tmp_path / "m", K, texts=titles[by_item], users_are_text=True)
    signatures = tf.saved_model.load(str(path)).signatures

    def numbered(answer):
        return [
            [int(title.split()[1]) if title else -1 for title in row]
            for row in answer["items"].numpy().astype(str)
        ]

    found = signatures["recommend"](user_id=tf.constant([*names[:5], "nobody", ""]))
    known = integers["recommend"](user_id=tf.constant([*exported[0].user_keys[:5], 1, -1], tf.int64))
    np.testing.assert_array_equal(numbered(found)[:5], (known["items"].numpy()[:5] - 100) // 5)
    np.testing.assert_allclose(
        found["scores"], known["scores"], rtol=1e-6
    )  # popular items tie, in another order
    recent = tf.constant([["item 3", "item 8"]])
    answer = signatures["retrieve"](recent=recent, num_recent=tf.constant([2]))
    expected = integers["retrieve"](recent=tf.constant([[115, 140]], tf.int64), num_recent=tf.constant([2]))
    np.testing.assert_array_equal(numbered(answer), (expected["items"].numpy() - 100) // 5)


def test_unknown_users_get_popular_items(exported):
    split, *_, signatures = exported
    found = signatures["recommend"](user_id=tf.constant([1, -1], tf.int64))
    counts = np.sort(split.train.toarray().sum(0))[::-1][:K]
    np.testing.assert_array_equal(found["scores"], np.stack([counts, counts]))


def test_a_history_is_enough(exported):
    split, _, items, history, signatures = exported
    recent = split.item_keys[[3, 8]]
    found = signatures["retrieve"](recent=tf.constant(recent[np.newaxis]), num_recent=tf.constant([2]))
    scores = history[[3, 8]].mean(axis=0) @ items.T
    scores[[3, 8]] = -np.inf
    np.testing.assert_array_equal(found["items"][0], split.item_keys[np.argsort(-scores)[:K]])


def test_the_saved_model_holds_core_ops_alone(exported):
    signatures = exported[-1]
    for signature in signatures.values():
        definition = signature.graph.as_graph_def()
        nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
        assert not {node.op for node in nodes if "PyFunc" in node.op}
