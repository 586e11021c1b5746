import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.losses.bpr import bpr_loss


def by_loops(users, items, user_ids, item_ids, positive, most_negatives):
    terms = []
    for b in np.flatnonzero(positive):
        for j in range(min(most_negatives, len(items))):
            is_own = positive[j] and user_ids[j] == user_ids[b]
            if item_ids[j] != item_ids[b] and not is_own:
                terms.append(np.log1p(np.exp(users[b] @ items[j] - users[b] @ items[b])))
    return np.mean(terms) if terms else 0.0


@pytest.mark.parametrize("most_negatives", [1, 5, 100])
@pytest.mark.parametrize("seed", range(3))
def test_is_the_mean_over_pairs(seed, most_negatives):
    rng = np.random.default_rng(seed)
    count = 12
    users, items = rng.normal(size=(2, count, 4)).astype("f4")
    ids = rng.integers(0, 5, (2, count))
    positive = rng.random(count) < 0.5
    expected = by_loops(users, items, *ids, positive, most_negatives)
    found = bpr_loss(*map(tf.constant, (users, items, *ids, positive)), most_negatives=most_negatives)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_without_a_positive_or_a_negative_it_is_zero_with_zero_gradient():
    for positive, item_ids in (([False, False], [1, 2]), ([True, True], [1, 1])):
        users = tf.Variable([[1.0], [2.0]])
        with tf.GradientTape() as tape:
            loss = bpr_loss(
                users,
                tf.constant([[1.0], [3.0]]),
                tf.constant([1, 2]),
                tf.constant(item_ids),
                tf.constant(positive),
            )
        assert float(loss) == 0.0
        np.testing.assert_array_equal(tape.gradient(loss, users), 0.0)
