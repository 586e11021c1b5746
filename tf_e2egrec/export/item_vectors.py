"""X and Z of all items, computed once when a model is exported."""

from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows

_CHUNK = 8192  # items at a time; with 100 neighbours each, some 10 MB of edges


class ItemVectors(NamedTuple):
    """One row per item of the node table, after row 0 for all other items; float32.

    Attributes:
      ranker: [N + 1, dim], what the ranker knows of an item.
      x: [N + 1, width].
      z: [N + 1, width], with the neighbours that a candidate has.
      recent_z: [N + 1, width], with those that a recent item has.
    """

    ranker: tf.Tensor
    x: tf.Tensor
    z: tf.Tensor
    recent_z: tf.Tensor


def item_vectors(model: E2EGRec, graph: ServingGraph) -> ItemVectors:
    """The vectors of every item under the neighbour table of `graph`, as evaluation would compute them; Z is X where the
    model does not propagate.
    """
    keys = tf.concat([[tf.constant(MISSING_KEY, tf.int64)], graph.item_table.keys], axis=0)
    rankers, xs = [], []
    for chunk in _chunks(keys):
        ranker, x = model.item_vectors({"#id": chunk, **graph.item_table(chunk)})
        rankers.append(tf.cast(ranker, tf.float32))
        xs.append(tf.cast(x, tf.float32))
    ranker, x = tf.concat(rankers, axis=0), tf.concat(xs, axis=0)
    z = _propagated(model, graph, keys, x, graph.fanout)
    recent_z = (
        z if graph.recent_fanout == graph.fanout else _propagated(model, graph, keys, x, graph.recent_fanout)
    )
    return ItemVectors(ranker, x, z, recent_z)


def _propagated(model: E2EGRec, graph: ServingGraph, keys: tf.Tensor, x: tf.Tensor, fanout: int) -> tf.Tensor:
    """Z of every item with at most `fanout` neighbours; X where the model does not propagate."""
    if not model.variant.propagates(training=False):
        return x
    parts, first = [], 0
    for chunk in _chunks(keys):
        edges = graph.edges_of(chunk, fanout)
        source = sorted_rows(graph.item_table.keys, edges.source) + 1
        receivers = x[first : first + len(chunk)]
        parts.append(model.convolution.propagate(x, receivers, source, edges.target, edges.weight))
        first += len(chunk)
    return tf.concat([tf.cast(part, tf.float32) for part in parts], axis=0)


def _chunks(keys: tf.Tensor) -> Iterator[tf.Tensor]:
    for first in range(0, len(keys), _CHUNK):
        yield keys[first : first + _CHUNK]
