import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.toys import matrix
from tf_e2egrec.retrieval.seen_items import SeenItems

USERS, ITEMS = 9, 7


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 5),
    st.lists(st.integers(0, USERS - 1), max_size=12),
    st.lists(st.integers(0, ITEMS - 1), max_size=ITEMS, unique=True),
)
def test_what_is_seen_equals_a_look_into_the_dense_matrix(seed, users, items):
    train = matrix(seed, USERS, ITEMS)
    found = SeenItems(train).among(tf.constant(users, tf.int32), tf.constant(items, tf.int32)).numpy()
    expected = train.toarray()[np.array(users, int)][:, np.array(items, int)]
    dense = np.zeros((len(users), len(items)))
    np.add.at(dense, tuple(found.T), 1)  # a pair that came twice would count twice
    np.testing.assert_array_equal(dense, expected)


def test_how_likely_an_item_is_among_random_pairs():
    train = sp.csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0]], np.float32))
    found = np.exp(SeenItems(train).log_presence(3))
    draws = np.random.default_rng(0).choice(train.indices, (200_000, 3))
    drawn = [(draws == item).any(axis=1).mean() for item in range(3)]
    np.testing.assert_allclose(found[:3], drawn, atol=0.005)
    assert found[3] == pytest.approx(1 - (1 - 0.5 / 8) ** 3, rel=1e-5)  # half a pair where there is none
    assert np.isfinite(SeenItems(train[:1, :1]).log_presence(3)).all()
