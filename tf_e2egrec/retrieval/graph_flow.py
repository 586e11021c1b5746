"""The graph ODE of LightGODE: convolution after training."""

import math

import tensorflow as tf

from tf_e2egrec.retrieval.user_item_graph import UserItemGraph

SOLVERS = ("euler", "rk4", "exact")
_LARGEST_REST = 1e-9


def graph_flow(
    graph: UserItemGraph, embeddings: tf.Tensor, t: float, solver: str = "euler", steps: int = 1
) -> tf.Tensor:
    """z(t) of ``dz/dt = Â z + E, z(0) = E`` (arXiv 2407.18910).

    One step of Euler is what was published: ``z = (1 + t) E + t Â E``. `exact` sums the series
    ``z(t) = sum_k (t^k / k! + t^(k+1) / (k+1)!) Â^k E`` until what is left out cannot reach 1e-9 of E (the norm of Â is 1 at most).

    Args:
      graph: of the training pairs.
      embeddings: E, float32 [U + I, d].
      t: where the flow ends.
      solver: `euler`, `rk4` or `exact`.
      steps: of `euler` and `rk4`, equally long.

    Returns:
      float32 [U + I, d].

    Raises:
      ValueError: the solver is unknown, t negative, or there is no step.
    """
    if solver not in SOLVERS or t < 0 or steps < 1:
        raise ValueError(
            f"`graph_flow` takes a solver of {SOLVERS}, t >= 0 and steps >= 1. Received: solver={solver!r}, t={t}, steps={steps}"
        )
    if solver == "exact":
        weights = _series_weights(t)
        powers = [embeddings, *graph.powers(embeddings, len(weights) - 1)]
        return tf.add_n([weight * power for weight, power in zip(weights, powers, strict=True)])
    step = t / steps
    z = embeddings
    for _ in range(steps):
        z += step * (_slope_euler if solver == "euler" else _slope_rk4)(graph, z, embeddings, step)
    return z


def _slope_euler(graph: UserItemGraph, z: tf.Tensor, embeddings: tf.Tensor, _: float) -> tf.Tensor:
    return graph.propagate(z) + embeddings


def _slope_rk4(graph: UserItemGraph, z: tf.Tensor, embeddings: tf.Tensor, step: float) -> tf.Tensor:
    first = graph.propagate(z) + embeddings
    second = graph.propagate(z + step / 2 * first) + embeddings
    third = graph.propagate(z + step / 2 * second) + embeddings
    fourth = graph.propagate(z + step * third) + embeddings
    return (first + 2 * second + 2 * third + fourth) / 6


def _series_weights(t: float) -> list[float]:
    """t^k / k! + t^(k+1) / (k+1)! for k = 0, 1, ...; those left out sum to less than `_LARGEST_REST`."""
    weights, term, order = [], 1.0, 0
    # Once k exceeds 2t, each term is less than half of the one before: the rest is below twice the last.
    while order <= 2 * t or 4 * term > _LARGEST_REST:
        following = term * t / (order + 1)
        weights.append(term + following)
        term, order = following, order + 1
    return [weight if math.isfinite(weight) else 0.0 for weight in weights]
