"""Gradients of embedding tables: one slice per row."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

Gradient: TypeAlias = "tf.Tensor | tf.IndexedSlices | None"


def sum_duplicate_rows(gradient: Gradient) -> Gradient:
    """Sum the slices that belong to the same row; dense gradients and None pass through.

    A batch repeats popular items, and an optimiser that squares or clips the slices one by one updates their
    rows wrongly (the square of a sum is not the sum of squares).
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, position = tf.unique(gradient.indices)
    values = tf.cond(
        tf.size(rows) == tf.size(position),
        lambda: gradient.values,
        lambda: tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows)),
    )
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def norm_of(gradient: Gradient) -> tf.Tensor:
    """Euclidean norm as a float32 scalar; 0 for None."""
    if gradient is None:
        return tf.constant(0.0)
    return tf.norm(tf.cast(tf.convert_to_tensor(gradient), tf.float32))


def subtract(total: Gradient, parts: Sequence[tuple[tf.Tensor, Gradient]]) -> tf.Tensor:
    """``total - sum of weight * part`` as a dense float32 tensor."""
    rest = tf.cast(tf.convert_to_tensor(total), tf.float32)
    for weight, part in parts:
        if part is not None:
            rest -= weight * tf.cast(tf.convert_to_tensor(part), tf.float32)
    return rest


def spread_overflow(gradients: Sequence[Gradient]) -> list[Gradient]:
    """Make every gradient NaN where one of them is not finite; otherwise leave all as they are.

    Optimisers that scale the loss leave out a step whose own gradients overflow; when two of them share a step,
    each has to see the other's overflow.
    """
    values = [_values(gradient) for gradient in gradients if gradient is not None]
    is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])
    factor = tf.where(is_finite, 1.0, float("nan"))

    def spread(gradient: Gradient) -> Gradient:
        if gradient is None:
            return None
        scaled = _values(gradient) * tf.cast(factor, gradient.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            return tf.IndexedSlices(scaled, gradient.indices, gradient.dense_shape)
        return scaled

    return [spread(gradient) for gradient in gradients]


def _values(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
