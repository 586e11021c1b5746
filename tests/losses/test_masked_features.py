import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.losses import by_column, hidden_fields, masked_feature_loss

WIDTHS = [3, 1, 2]


def reference(features, guess, hidden, widths):
    errors, start = [], 0
    for field, width in enumerate(widths):
        rows = hidden[:, field]
        block = slice(start, start + width)
        if rows.any():
            error = np.square(features[rows, block] - guess[rows, block]).sum()
            errors.append(error / np.square(features[rows, block]).sum())
        start += width
    return np.mean(errors) if errors else 0.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0.0, 1.0))
def test_equals_numpy(seed, share):
    rng = np.random.default_rng(seed)
    features, guess = rng.normal(size=(2, 9, 6))
    hidden = rng.random((9, 3)) < share
    loss = float(masked_feature_loss(tf.constant(features), tf.constant(guess), hidden, WIDTHS))
    assert loss == pytest.approx(
        reference(features, guess, hidden, WIDTHS), rel=5e-3, abs=1e-5
    )  # a field that hardly varies divides by next to nothing


def test_units_of_the_fields_do_not_matter():
    rng = np.random.default_rng(0)
    features, guess = rng.normal(size=(2, 9, 6)).astype("f4")
    hidden = rng.random((9, 3)) < 0.5
    scale = np.float32([100, 100, 100, 0.1, 5, 5])
    losses = [
        float(masked_feature_loss(tf.constant(a), tf.constant(b), hidden, WIDTHS))
        for a, b in ((features, guess), (features * scale, guess * scale))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_only_hidden_fields_of_the_reconstruction_get_a_gradient_and_the_target_none():
    rng = np.random.default_rng(0)
    features, guess = (tf.Variable(value) for value in rng.normal(size=(2, 9, 6)).astype("f4"))
    hidden = rng.random((9, 3)) < 0.5
    with tf.GradientTape() as tape:
        loss = masked_feature_loss(features, guess, hidden, WIDTHS)
    of_target, of_guess = tape.gradient(loss, [features, guess])
    assert of_target is None
    np.testing.assert_array_equal(of_guess.numpy() != 0, np.repeat(hidden, WIDTHS, axis=1))
    expected = np.zeros((9, 6))
    for field, block in enumerate((slice(0, 3), slice(3, 4), slice(4, 6))):
        difference = (guess - features).numpy()[:, block] * hidden[:, [field]]
        total = np.square(features.numpy()[:, block] * hidden[:, [field]]).sum()
        expected[:, block] = 2 * difference / total / 3
    np.testing.assert_allclose(of_guess, expected, rtol=1e-4, atol=1e-6)


def test_zeros_score_one_and_nothing_hidden_scores_zero():
    features = tf.random.normal((5, 6), seed=1)
    everything = tf.ones((5, 3), tf.bool)
    assert float(masked_feature_loss(features, 0 * features, everything, WIDTHS)) == pytest.approx(
        1, rel=1e-4
    )
    assert float(masked_feature_loss(features, 0 * features, ~everything, WIDTHS)) == 0


@pytest.mark.parametrize("rate", [0.3, 0.4, 0.5])
def test_the_share_of_hidden_fields(rate):
    hidden = hidden_fields(4000, 5, rate, tf.constant([3, 4])).numpy()
    np.testing.assert_allclose(hidden.mean(0), rate, atol=0.03)
    assert abs(np.corrcoef(hidden.T)[0, 1:]).max() < 0.05  # fields are hidden independently
    np.testing.assert_array_equal(hidden, hidden_fields(4000, 5, rate, tf.constant([3, 4])))
    assert (hidden != hidden_fields(4000, 5, rate, tf.constant([3, 5])).numpy()).any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="rate"):
        hidden_fields(3, 2, 1.0, tf.constant([1, 2]))
    with pytest.raises(ValueError, match="widths"):
        masked_feature_loss(tf.ones((1, 3)), tf.ones((1, 3)), tf.ones((1, 1), tf.bool), [2])
    assert by_column(tf.constant([[True, False]]), [1, 2]).numpy().tolist() == [[True, False, False]]
