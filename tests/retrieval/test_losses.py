import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.retrieval.losses import (
    alignment_uniformity_loss,
    sampled_bpr_loss,
    sampled_softmax_loss,
    uniformity,
)


def vectors(seed, count=17, dim=6):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def unit(rows):
    return rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True)


def pairwise_uniformity(x):
    values = [np.exp(-2 * np.sum((x[a] - x[b]) ** 2)) for a in range(len(x)) for b in range(a + 1, len(x))]
    return np.log(np.mean(values))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 10.0])
def test_alignment_and_uniformity_equal_a_sum_over_pairs(gamma):
    users, items = vectors(0), vectors(1)
    users[3] = users[4]  # a user that comes twice in a batch
    u, i = unit(users), unit(items)
    expected = np.mean([np.sum((a - b) ** 2) for a, b in zip(u, i, strict=True)])
    expected += gamma * (pairwise_uniformity(u) + pairwise_uniformity(i)) / 2
    assert float(alignment_uniformity_loss(users, items, gamma)) == pytest.approx(expected, abs=1e-5)


def test_the_gradient_is_that_of_the_pairwise_loss():
    users, items = tf.Variable(vectors(2, 5, 3)), tf.constant(vectors(3, 5, 3))
    with tf.GradientTape() as tape:
        loss = alignment_uniformity_loss(users, items, 2.0)
    gradient = tape.gradient(loss, users).numpy()

    def reference(values):
        u, i = unit(values), unit(items.numpy())
        pairs = pairwise_uniformity(u) + pairwise_uniformity(i)
        return np.mean(np.sum((u - i) ** 2, axis=1)) + pairs

    for place in np.ndindex(gradient.shape):
        step = np.zeros(gradient.shape)
        step[place] = 1e-5
        start = users.numpy().astype(np.float64)
        slope = (reference(start + step) - reference(start - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-4)


def test_equal_vectors_are_the_least_uniform():
    same = tf.ones((4, 2)) / np.sqrt(2).astype(np.float32)
    assert float(uniformity(same)) == pytest.approx(0.0, abs=1e-6)


def test_bpr_is_the_mean_over_triples():
    users, items, negatives = vectors(0), vectors(1), vectors(2)
    margins = np.sum(users * (items - negatives), axis=1)
    expected = np.mean(-np.log(1 / (1 + np.exp(-margins.astype(np.float64)))))
    assert float(sampled_bpr_loss(users, items, negatives)) == pytest.approx(expected, rel=1e-5)


def softmax_reference(users, items, candidates, seen, temperature):
    u, i, c = unit(users), unit(items), unit(candidates)
    losses = []
    for row in range(len(u)):
        own = np.exp(u[row] @ i[row] / temperature)
        others = [
            np.exp(u[row] @ c[column] / temperature)
            for column in range(len(c))
            if [row, column] not in seen.tolist()
        ]
        losses.append(-np.log(own / (own + sum(others))))
    return np.mean(losses)


SEEN = np.array([[0, 1], [3, 0], [3, 4], [16, 2], *([7, column] for column in range(5))])


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("seen", [SEEN, SEEN[:0]])
def test_sampled_softmax_is_the_mean_over_pairs_and_their_candidates(seen, temperature):
    users, items, candidates = vectors(0), vectors(1), 5 * vectors(2, count=5)
    found = float(sampled_softmax_loss(users, items, candidates, seen, temperature))
    assert found == pytest.approx(softmax_reference(users, items, candidates, seen, temperature), abs=1e-5)


def test_the_gradient_of_sampled_softmax_is_finite_and_that_of_the_reference():
    users, items, candidates = vectors(3, 4, 3), vectors(4, 4, 3), vectors(5, 2, 3)
    seen = np.array([[1, 0], [2, 0], [2, 1]])  # the third pair competes with nothing
    parts = [tf.Variable(one) for one in (users, items, candidates)]
    with tf.GradientTape() as tape:
        loss = sampled_softmax_loss(*parts, seen, 0.5)
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, parts)]
    values = [one.astype(np.float64) for one in (users, items, candidates)]
    for part, gradient in enumerate(gradients):
        for place in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [one.copy() for one in values]
                moved[part][place] += step
                ends.append(softmax_reference(*moved, seen, 0.5))
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)
    assert (gradients[0][2] == 0).all() and (gradients[1][2] == 0).all()
