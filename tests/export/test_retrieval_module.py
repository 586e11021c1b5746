"""From recent items to candidates, held against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.export.retrieval_module import MOST_RECENT_ITEMS, RetrievalModule

KEYS = np.arange(100, 130)


def made(k=6, seed=0, **options):
    rng = np.random.default_rng(seed)
    vectors, recent = rng.normal(size=(2, len(KEYS), 3)).astype("f4")
    popularity = rng.permutation(len(KEYS)).astype("f4")
    return RetrievalModule(KEYS, vectors, recent, popularity, k, **options), vectors, recent, popularity


def expected(vectors, recent_vectors, popularity, recent, k, limit, cosine):
    known = list(dict.fromkeys(one for one in recent if one in KEYS))
    if known:
        query = recent_vectors[np.array(known[: limit or None]) - 100].mean(axis=0)
        scores = vectors @ query
        if cosine:
            scores /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    else:
        scores = popularity
    order = [row for row in np.argsort(-scores, kind="stable") if KEYS[row] not in known][:k]
    return KEYS[order], scores[order]


def ask(module, lists, padding=7):
    """One batch; shorter lists are padded."""
    width = max(1, *map(len, lists))
    recent = [[*one, *[padding] * (width - len(one))] for one in lists]
    numbers = tf.constant([len(one) for one in lists])
    return module.retrieve({"recent": tf.constant(recent, tf.int64), "num_recent": numbers})


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from([-1, 5, 999, *KEYS]), max_size=9), min_size=1, max_size=4),
    st.sampled_from([0, 1, 3]),
    st.booleans(),
    st.sampled_from([7, 100]),
)
def test_it_answers_what_numpy_answers(lists, limit, cosine, padding):
    module, vectors, recent_vectors, popularity = made(recent_limit=limit, cosine=cosine)
    answer = ask(module, lists, padding)
    for row, recent in enumerate(lists):
        items, scores = expected(vectors, recent_vectors, popularity, recent, 6, limit, cosine)
        assert answer["num_items"][row] == 6
        assert answer["items"][row].numpy().tolist() == items.tolist()
        np.testing.assert_allclose(answer["scores"][row], scores, rtol=1e-4, atol=1e-5)


def test_who_has_seen_almost_everything_gets_fewer():
    module = made(k=6)[0]
    answer = ask(module, [KEYS[:28].tolist(), []])
    assert answer["num_items"].numpy().tolist() == [2, 6]
    assert sorted(answer["items"][0, :2].numpy().tolist()) == [128, 129]
    assert answer["items"][0, 2:].numpy().tolist() == [-1] * 4
    assert answer["scores"][0, 2:].numpy().tolist() == [0.0] * 4


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (0, 0)])
def test_empty_requests_are_answered(shape):
    answer = made()[0].retrieve({"recent": tf.zeros(shape, tf.int64), "num_recent": tf.fill([shape[0]], 5)})
    assert answer["items"].shape == (shape[0], 6)
    assert answer["scores"].numpy().tolist() == [[29, 28, 27, 26, 25, 24]] * shape[0]


@pytest.mark.parametrize("number", [-4, 0, 1, 99])
def test_a_wrong_number_does_no_harm(number):
    module, *rest = made()
    answer = module.retrieve(
        {"recent": tf.constant([[100, 105]], tf.int64), "num_recent": tf.constant([number])}
    )
    items, _ = expected(*rest, [100, 105][: max(0, number)], 6, 0, True)
    assert answer["items"][0].numpy().tolist() == items.tolist()


def test_popular_items_can_be_asked_for_whatever_the_history():
    module, _, _, popularity = made(k=3)
    found = module.find(tf.constant([[129, 128]], tf.int64), tf.constant([2]), popular=True)
    order = [row for row in np.argsort(-popularity) if KEYS[row] not in (128, 129)][:3]
    assert found.keys[0].numpy().tolist() == KEYS[order].tolist()


def test_a_long_history_is_cut_before_it_costs_anything():
    answer = ask(made()[0], [[5] * MOST_RECENT_ITEMS + [100] * 20_000])
    plain = ask(made()[0], [[5]])
    np.testing.assert_array_equal(answer["items"], plain["items"])


@pytest.mark.parametrize("text", [False, True])
def test_saved_it_answers_alike(tmp_path, text):
    names = np.array([f"item {key}" for key in KEYS])
    keys = string_keys(names) if text else KEYS
    order = np.argsort(keys)
    _, vectors, recent_vectors, popularity = made()
    module = RetrievalModule(
        keys[order],
        vectors[order],
        recent_vectors[order],
        popularity[order],
        6,
        texts=names[order] if text else None,
    )
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.signatures())
    recent = [[b"item 100", b"item 105", b""]] if text else [[100, 105, -1]]
    loaded = tf.saved_model.load(str(tmp_path / "1")).signatures["retrieve"]
    answer = loaded(recent=tf.constant(recent, tf.string if text else tf.int64), num_recent=tf.constant([3]))
    items, scores = expected(vectors, recent_vectors, popularity, [100, 105], 6, 0, True)
    said = (
        [one.decode() for one in answer["items"][0].numpy()] if text else answer["items"][0].numpy().tolist()
    )
    assert said == ([f"item {key}" for key in items] if text else items.tolist())
    np.testing.assert_allclose(answer["scores"][0], scores, rtol=1e-4)
