import numpy as np
import pytest
import tensorflow as tf

from tests.layers.layer_checks import check_layer
from tf_e2egrec.layers import AttentionFusion, GatedConcatFusion, Tower

RNG = np.random.default_rng(0)
PARTS = [tf.constant(RNG.normal(size=(5, width)).astype("f4")) for width in (4, 3, 6)]


def test_gated_concat_layer():
    check_layer(GatedConcatFusion(), lambda layer, parts: tf.concat(layer(parts), -1), PARTS, (5, 13))


def test_gates_start_open_and_multiply():
    layer = GatedConcatFusion()
    gated = tf.concat(layer(PARTS), -1).numpy()
    kernel, bias = (weight.numpy() for weight in layer.weights)
    concatenated = np.concatenate(PARTS, -1)
    np.testing.assert_allclose(gated, concatenated / (1 + np.exp(-(concatenated @ kernel + bias))), rtol=1e-5)
    np.testing.assert_allclose(bias, 2.0)
    assert all(0.5 < float(value) < 1 for value in layer.openness(PARTS))


def test_attention_layer():
    check_layer(AttentionFusion(dim=8, heads=2), lambda layer, parts: layer(parts), PARTS, (5, 24))


def reference_attention(layer):
    """The tokens, Keras's layer, and the weights that it shares with ours: all but those of its last projection."""
    tokens = tf.stack([project(part) for project, part in zip(layer.projections, PARTS, strict=True)], axis=1)
    reference = tf.keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
    reference(tokens, tokens)
    weights = []
    for dense in (layer.query, layer.key, layer.value):
        weights += [dense.kernel.numpy().reshape(8, 2, 4), dense.bias.numpy().reshape(2, 4)]
    return tokens, reference, weights


def test_attention_equals_keras_multi_head_attention():
    layer = AttentionFusion(dim=8, heads=2)
    output = layer(PARTS).numpy().reshape(5, 3, 8)
    tokens, reference, weights = reference_attention(layer)
    weights += [
        layer.output_projections[0].kernel.numpy().reshape(2, 4, 8),
        layer.output_projections[0].bias.numpy(),
    ]
    reference.set_weights(weights)
    expected = layer.normalization(tf.reshape(tokens + reference(tokens, tokens), (15, 8))).numpy()
    np.testing.assert_allclose(output.reshape(15, 8), expected, atol=1e-5)
    np.testing.assert_allclose(layer.attention(PARTS).numpy().sum(-1), 1.0, atol=1e-6)


def test_zeroed_attention_is_the_residual():
    layer = AttentionFusion(dim=8, heads=2)
    layer(PARTS)
    layer.output_projections[0].kernel.assign(tf.zeros((8, 8)))
    expected = [
        layer.normalization(project(part)) for project, part in zip(layer.projections, PARTS, strict=True)
    ]
    np.testing.assert_allclose(layer(PARTS), tf.concat(expected, -1), atol=1e-6)


def test_attention_layer_that_adds_to_the_parts():
    check_layer(
        AttentionFusion(dim=8, heads=2, residual="parts"), lambda layer, parts: layer(parts), PARTS, (5, 13)
    )


def test_attention_that_adds_to_the_parts_starts_as_the_identity():
    layer = AttentionFusion(dim=8, heads=2, residual="parts")
    np.testing.assert_array_equal(layer(PARTS), tf.concat(PARTS, -1))


def test_attention_that_adds_to_the_parts_equals_keras_multi_head_attention():
    """Keras's last projection is the identity, and each token then goes through that of its part."""
    layer = AttentionFusion(dim=8, heads=2, residual="parts")
    layer(PARTS)
    tokens, reference, weights = reference_attention(layer)
    reference.set_weights([*weights, np.eye(8, dtype="f4").reshape(2, 4, 8), np.zeros(8, "f4")])
    for output in layer.output_projections:
        output.kernel.assign(RNG.normal(size=output.kernel.shape))
    attended = reference(tokens, tokens)
    expected = [
        part + attended[:, i] @ output.kernel + output.bias
        for i, (part, output) in enumerate(zip(PARTS, layer.output_projections, strict=True))
    ]
    np.testing.assert_allclose(layer(PARTS), tf.concat(expected, -1), atol=1e-5)


def test_an_unknown_residual():
    with pytest.raises(ValueError, match="residual"):
        AttentionFusion(residual="none")


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="divide"):
        AttentionFusion(dim=8, heads=3)


def test_tower_layer():
    check_layer(Tower(units=(4,)), lambda layer, part: layer(part), PARTS[0], (5,))


def test_tower_without_hidden_layers_is_linear():
    check_layer(Tower(units=()), lambda layer, part: layer(part), PARTS[0], (5,))
