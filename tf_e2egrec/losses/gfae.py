"""The Graph Feature Auto-Encoder loss: the distance between features and their propagated form."""

import tensorflow as tf


def gfae_loss(
    x: tf.Tensor, z: tf.Tensor, mask: tf.Tensor, variant: str = "relative", epsilon: float = 1e-6
) -> tf.Tensor:
    """``L_SSL = ||X - Z||_F^2`` over the nodes that have neighbours (E2E-GRec; identity decoder).

    Gradients flow on both sides: stopping them at the target lets the norms grow without bound.

    Args:
      x: [n, d] features before propagation.
      z: [n, d] after it.
      mask: bool [n], False for isolated nodes (there Z = X says nothing) and repeated ones.
      variant: `relative`: divided by stop_gradient(||X||_F^2), so that the loss has no unit and cannot be
        zeroed by shrinking X; `literal`: the plain sum.
      epsilon: keeps the division finite.

    Returns:
      float32 scalar; 0 when no node has neighbours.

    Raises:
      ValueError: unknown variant.

    Example:
      >>> x, z = tf.constant([[1.0, 0.0], [5.0, 5.0]]), tf.constant([[0.0, 0.0], [5.0, 5.0]])
      >>> float(gfae_loss(x, z, tf.constant([True, False]), "literal"))
      1.0
    """
    x, z = tf.cast(x, tf.float32), tf.cast(z, tf.float32)
    weight = tf.cast(mask, tf.float32)[:, tf.newaxis]
    distance = tf.reduce_sum(weight * tf.square(x - z))
    if variant == "literal":
        return distance
    if variant == "relative":
        return distance / (tf.stop_gradient(tf.reduce_sum(weight * tf.square(x))) + epsilon)
    raise ValueError(f"`variant` should be 'relative' or 'literal'. Received: variant={variant!r}")
