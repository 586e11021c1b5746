"""The Graph Feature Auto-Encoder loss: the distance between features and their propagated form."""

import tensorflow as tf

from tf_e2egrec.losses.global_batch import mean_over_replicas

VARIANTS = ("relative", "literal", "raw_sg")


def gfae_loss(
    x: tf.Tensor, z: tf.Tensor, mask: tf.Tensor, variant: str = "relative", epsilon: float = 1e-6
) -> tf.Tensor:
    """``L_SSL = ||X - Z||_F^2`` over the nodes that have neighbours (E2E-GRec; identity decoder).

    * `literal`: the plain sum, gradients on both sides. Alone it draws X to rank 1 (constant states are fixed
      points of the propagation), or to zero where a_0 + a_1 = 1 does not hold. Stopping only the target's
      gradient does not help: the norms then grow without bound.
    * `relative`: the sum over stop_gradient(||X||_F^2), gradients on both sides. It has no unit and its value
      does not fall when X shrinks; X still has to be held by another loss.
    * `raw_sg`: a true auto-encoder. `x` is X_raw (ids and features *before* the GNN's input layer), and `z` is
      made by the caller from stop_gradient(X_raw) through a *square* W_in:
      ``L = ||sg(X_raw) - A sg(X_raw) W_in||_F^2 / ||sg(X_raw)||_F^2`` with A = a_0 I + a_1 P. Only the encoder
      learns. It cannot collapse: what is reconstructed is a constant to this loss, so shrinking or flattening Z
      costs (W_in = 0 gives 1, not 0), and in W_in the loss is a convex quadratic with its minimum at the least
      squares solution, whose Z is the projection of X_raw onto the span of A X_raw: it lacks only what A itself
      removes.

    Args:
      x: [n, d] features before propagation; `raw_sg`: X_raw.
      z: [n, d] after it.
      mask: bool [n], False for isolated nodes (there Z = X says nothing) and repeated ones.
      variant: `relative`, `literal` or `raw_sg`.
      epsilon: keeps the division finite.

    Returns:
      float32 scalar; 0 when no node has neighbours. Under `tf.distribute`, its mean over replicas is the loss of the global
      batch.

    Raises:
      ValueError: unknown variant, or widths that differ.

    Example:
      >>> x, z = tf.constant([[2.0, 0.0], [5.0, 5.0]]), tf.constant([[1.0, 0.0], [5.0, 5.0]])
      >>> float(gfae_loss(x, z, tf.constant([True, False]), "literal"))
      1.0
      >>> round(float(gfae_loss(x, z, tf.constant([True, False]), "relative")), 4)
      0.25
    """
    if variant not in VARIANTS:
        raise ValueError(f"`variant` should be one of {VARIANTS}. Received: variant={variant!r}")
    if x.shape[-1] != z.shape[-1]:
        raise ValueError(f"`x` and `z` should have one width. Received: {x.shape[-1]} and {z.shape[-1]}")
    x, z = tf.cast(x, tf.float32), tf.cast(z, tf.float32)
    if variant == "raw_sg":
        x = tf.stop_gradient(x)
    weight = tf.cast(mask, tf.float32)[:, tf.newaxis]
    distance = tf.reduce_sum(weight * tf.square(x - z))
    if variant == "literal":
        return distance * float(tf.distribute.get_strategy().num_replicas_in_sync)
    return distance / (mean_over_replicas(tf.reduce_sum(weight * tf.square(x))) + epsilon)
