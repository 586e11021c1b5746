"""Co-occurrence edges, the plainer alternative to Swing: how many users two items share.

With alpha1 = beta = 0 and a constant 1 / (alpha2 + overlap), Swing's sum over the pairs of common users is the number of these
pairs, n (n - 1) / 2, times the constant. The same kernel therefore counts common users, with the same caps and windows.
"""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.graph.swing import SwingEdges

# So large that adding an overlap changes nothing, and a power of 2, so that no sum is rounded.
_CONSTANT = 2.0**80


def pair_counting_spec(spec: SwingSpec) -> SwingSpec:
    """The parameters with which a Swing score is the number of pairs of common users, over 2^80; the caps stay."""
    return spec.model_copy(update={"alpha1": 0.0, "alpha2": _CONSTANT, "beta": 0.0})


def co_occurrence_edges(edges: SwingEdges) -> SwingEdges:
    """The same edges weighted by the number of common users (those that the anchor cap left).

    Args:
      edges: by `pair_counting_spec`. As in Swing, two items need two common users to be linked.

    Returns:
      Edges in the same order; weights are whole numbers from 2 on, exact for up to 10^7 common users.
    """
    pairs = edges.weight.astype(np.float64) * _CONSTANT
    weight = np.rint((1.0 + np.sqrt(1.0 + 8.0 * pairs)) / 2.0).astype(np.float32)
    normalised = None
    if edges.normalised is not None:
        first = np.flatnonzero(np.r_[True, edges.target[1:] != edges.target[:-1]][: len(weight)])
        largest = np.repeat(weight[first], np.diff(np.r_[first, len(weight)]))
        normalised = weight / largest
    return dataclasses.replace(edges, weight=weight, normalised=normalised)
