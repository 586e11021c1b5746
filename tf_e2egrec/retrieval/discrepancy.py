"""How far convolution moves embeddings, by depth; and a plot of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


def embedding_discrepancy(graph: UserItemGraph, embeddings: tf.Tensor, depth: int = 4) -> list[float]:
    """Mean Euclidean distance between the directions of E and of LightGCN's mean of E, ÂE, ..., Â^k E.

    The embedding discrepancy of LightGODE (arXiv 2407.18910): what a model that was trained without convolution is not
    prepared for. Vectors are normalised first, because lengths alone change no ranking of a user. Nodes without neighbours are left
    out: convolution does not move them.

    Args:
      graph: of the training pairs.
      embeddings: E, float32 [U + I, d].
      depth: the largest k.

    Returns:
      The distances for k = 1 .. depth, between 0 and 2.
    """
    moved = tf.cast(graph.has_neighbours, tf.float32)[:, 0]
    direction = tf.math.l2_normalize(embeddings, axis=1)
    total, found = embeddings, []
    for power in graph.powers(embeddings, depth):
        total += power
        distance = tf.norm(tf.math.l2_normalize(total, axis=1) - direction, axis=1)
        found.append(float(tf.math.divide_no_nan(tf.reduce_sum(moved * distance), tf.reduce_sum(moved))))
    return found


def plot_discrepancy(distances: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw one line per model, as PNG or whatever the path's ending says.

    Args:
      distances: model -> what `embedding_discrepancy` returned.
      path: of the picture.

    Raises:
      E2EGRecError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  a heavy import, and not everyone's
    except ImportError:
        raise E2EGRecError(
            "the plot of the embedding discrepancy needs matplotlib; `pip install matplotlib`"
        ) from None
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for model, values in distances.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", label=model)
    axes.set(
        xlabel="hops", ylabel="distance between directions", title="Embedding discrepancy", ylim=(0, None)
    )
    axes.set_xticks(range(1, max(map(len, distances.values()), default=1) + 1))
    axes.legend()
    figure.savefig(path)
