import numpy as np
import pytest
import tensorflow as tf

from tests.layers.layer_checks import check_layer
from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.layers import FeatureEmbedding

FEATURES = [
    FeatureSpec(name="genre", type="categorical", multivalued=True, max_values=3, embedding_dim=2),
    FeatureSpec(name="author", type="categorical", embedding_dim=3),
    FeatureSpec(name="length", type="numeric", transform="log1p"),
    FeatureSpec(name="content", type="dense", dimension=2),
    FeatureSpec(name="shop", type="categorical", hash_buckets=5, embedding_dim=2),
]
INPUTS = {
    "genre": tf.constant([[4, 7, -1], [-1, -1, -1], [4, 99, -1]], tf.int64),
    "author": tf.constant([10, 11, -1], tf.int64),
    "length": tf.constant([0.0, np.e - 1, np.nan]),
    "content": tf.constant([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]),
    "shop": tf.constant([1 << 58, 3, -1], tf.int64),
}


def make():
    layer = FeatureEmbedding(FEATURES, {"genre": 2, "author": 1})
    layer.set_vocabulary("genre", np.array([4, 7]))
    layer.set_vocabulary("author", np.array([10]))
    return layer


def test_layer():
    check_layer(make(), lambda layer, inputs: layer(inputs), INPUTS, (3, 10))


def test_values():
    layer = make()
    layer.set_moments("length", 0.5, 2.0)
    output = layer(INPUTS).numpy()
    genre, author = (layer.embeddings[name].embeddings.numpy() for name in ("genre", "author"))
    np.testing.assert_allclose(output[0, :2], (genre[1] + genre[2]) / 2, atol=1e-6)
    np.testing.assert_allclose(output[1, :2], 0)  # no value at all
    np.testing.assert_allclose(
        output[2, :2], (genre[1] + genre[0]) / 2, atol=1e-6
    )  # an unknown value is row 0
    np.testing.assert_allclose(output[:, 2:5], author[[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(output[:, 5], [-0.25, 0.25, 0.0], atol=1e-6)
    np.testing.assert_allclose(output[:, 6:8], INPUTS["content"])


def test_hashed_values_have_rows_without_a_vocabulary_and_missing_ones_row_zero():
    layer = make()
    keys = np.arange(200, dtype=np.int64)
    rows = layer.lookups["shop"](tf.constant(np.r_[keys, -1])).numpy()
    assert rows[-1] == 0
    assert set(rows[:-1]) == set(range(1, 6))
    assert np.bincount(rows[:-1])[1:].min() > 20  # spread over the buckets
    expected = 1 + tf.strings.to_hash_bucket_fast(tf.as_string(keys), 5).numpy()
    np.testing.assert_array_equal(rows[:-1], expected)
    with pytest.raises(ValueError, match="hashed"):
        layer.set_vocabulary("shop", keys)


def test_hashed_multivalued_features_average_what_is_present():
    feature = FeatureSpec(name="tags", type="categorical", multivalued=True, max_values=3, hash_buckets=50)
    layer = FeatureEmbedding([feature], {})
    output = layer({"tags": tf.constant([[8, 9, -1], [-1, -1, -1]], tf.int64)}).numpy()
    table = layer.embeddings["tags"].embeddings.numpy()
    rows = layer.lookups["tags"](tf.constant([8, 9], tf.int64)).numpy()
    np.testing.assert_allclose(output[0], table[rows].mean(0), atol=1e-6)
    np.testing.assert_array_equal(output[1], 0)


@pytest.mark.parametrize("multivalued", [False, True])
def test_the_rows_of_several_hashes_are_summed(multivalued):
    feature = FeatureSpec(
        name="tags",
        type="categorical",
        multivalued=multivalued,
        max_values=3,
        hash_buckets=50,
        hashes=2,
        embedding_dim=4,
    )
    layer = FeatureEmbedding([feature], {})
    keys = tf.constant([[8, 9, -1], [-1, -1, -1]] if multivalued else [8, -1], tf.int64)
    output = layer({"tags": keys}).numpy()
    table = layer.embeddings["tags"].embeddings.numpy()
    rows = layer.lookups["tags"](tf.constant([8, 9], tf.int64)).numpy()
    expected = table[rows].sum(axis=1)
    np.testing.assert_allclose(output[0], expected.mean(axis=0) if multivalued else expected[0], atol=1e-6)
    np.testing.assert_allclose(output[1], 0.0 if multivalued else 2 * table[0], atol=1e-6)
    check_layer(layer, lambda layer, inputs: layer(inputs), {"tags": keys}, (2, 4))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_numbers_are_standardised_before_they_lose_precision(policy):
    """Seconds of a day do not fit float16, and their last digits do not fit bfloat16."""
    layer = FeatureEmbedding([FeatureSpec(name="second", type="numeric")], {}, dtype=policy)
    layer.set_moments("second", 86_000.0, 10.0)
    values = layer({"second": tf.constant([86_005.0, 85_990.0])})
    assert values.dtype == tf.as_dtype(layer.compute_dtype)
    np.testing.assert_array_equal(tf.cast(values, tf.float32).numpy().ravel(), [0.5, -1.0])


def test_a_forgotten_vocabulary_is_named():
    with pytest.raises(ValueError, match="lacks 'author'"):
        FeatureEmbedding(FEATURES, {"genre": 2})
