"""Toy exports and requests that the tests of the kinds share."""

import numpy as np
import tensorflow as tf

from tests.toy_data import toy_description, toy_items, toy_model, toy_users
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.graph.neighbour_table import NeighbourTable

NOW = 1_704_200_000_000  # the time of the toy records


def toy_neighbours():
    """Four neighbours of the first twenty items; the others have none. The toy's fanouts are 3 and, of recent items, 2."""
    rng = np.random.default_rng(5)
    keys = toy_items().key
    target = np.repeat(keys[:20], 4)
    source = np.concatenate([rng.choice(keys[keys != key], 4, replace=False) for key in keys[:20]])
    return NeighbourTable.from_edges(source, target, rng.random(len(source)).astype("f4") + 0.1)


def toy_module(kind, name="R5", model=None, strings=()):
    description = toy_description()
    graph = ServingGraph(description, toy_items(), toy_users(), toy_neighbours())
    return RankingModule(model or toy_model(name), graph, description, frozenset(strings), kind)


def requests(users, candidates, recent):
    """A batch of `rank` requests; shorter lists are padded by their first element, as a server does."""

    def padded(lists):
        width = max(map(len, lists))
        return tf.constant(
            [[*one, *[lists[0][0] if lists[0] else 7] * (width - len(one))] for one in lists], tf.int64
        )

    rows = len(users)
    return {
        "user_id": tf.constant(users, tf.int64),
        "time": tf.fill([rows], tf.constant(NOW, tf.int64)),
        "recent": tf.reshape(padded(recent), [rows, max(map(len, recent))]),
        "num_recent": tf.constant([len(one) for one in recent]),
        "candidates": padded(candidates),
        "num_candidates": tf.constant([len(one) for one in candidates]),
        "position": tf.linspace(0.0, 3.0, rows),
        "device": tf.constant([1] * rows, tf.int64),
    }


def as_table_has_them(keys, width=4):
    """Inputs of one row of fresh items, equal to what the tables say of items `keys`; int64 [F]."""
    items, table = toy_items(), toy_neighbours()
    rows = items.lookup(np.asarray(keys))
    neighbours = np.full((1, len(keys), width), 999, np.int64)
    weights = np.full((1, len(keys), width), 5.0, np.float32)
    number = np.zeros((1, len(keys)), np.int32)
    for place, row in enumerate(table.rows_of(np.asarray(keys))):
        if row >= 0:
            edges = slice(table.indptr[row], table.indptr[row + 1])
            number[0, place] = edges.stop - edges.start
            neighbours[0, place, : number[0, place]] = table.neighbours[edges]
            weights[0, place, : number[0, place]] = table.weights[edges]
    return {
        "fresh": tf.constant([keys], tf.int64),
        "num_fresh": tf.constant([len(keys)]),
        "fresh_neighbours": tf.constant(neighbours),
        "fresh_weights": tf.constant(weights),
        "num_fresh_neighbours": tf.constant(number),
    } | {
        f"fresh_feature_{name}": tf.constant(values[rows][np.newaxis])
        for name, values in items.features.items()
    }
