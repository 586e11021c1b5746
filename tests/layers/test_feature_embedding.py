import numpy as np
import tensorflow as tf

from tests.layers.layer_checks import check_layer
from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.layers import FeatureEmbedding

FEATURES = [
    FeatureSpec(name="genre", type="categorical", multivalued=True, max_values=3, embedding_dim=2),
    FeatureSpec(name="author", type="categorical", embedding_dim=3),
    FeatureSpec(name="length", type="numeric", transform="log1p"),
    FeatureSpec(name="content", type="dense", dimension=2),
]
INPUTS = {
    "genre": tf.constant([[4, 7, -1], [-1, -1, -1], [4, 99, -1]], tf.int64),
    "author": tf.constant([10, 11, -1], tf.int64),
    "length": tf.constant([0.0, np.e - 1, np.nan]),
    "content": tf.constant([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]),
}


def make():
    layer = FeatureEmbedding(FEATURES, {"genre": 2, "author": 1})
    layer.set_vocabulary("genre", np.array([4, 7]))
    layer.set_vocabulary("author", np.array([10]))
    return layer


def test_layer():
    check_layer(make(), lambda layer: layer(INPUTS), (3, 8))


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
    np.testing.assert_allclose(output[:, 6:], INPUTS["content"])
