"""A tiny description, node tables, records and a model that many tests share."""

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT, record_spec

DESCRIPTION = """
name: toy
interactions:
  paths: logs.parquet
  user: user
  item: item
  time: {column: time, unit: ms}
  behaviours: {click: {column: click}}
  stay: {column: stay, maximum: 100}
  context: [{name: position, type: numeric}, {name: device, type: categorical}]
items:
  paths: items.parquet
  id: item
  features: [{name: genre, type: categorical, multivalued: true, max_values: 2}, {name: length, type: numeric}]
users: {paths: users.parquet, id: user, features: [{name: age, type: categorical}]}
ranker: {reward: click, derived: [hour_of_day, item_age, recent_count]}
graph:
  positive: [click]
  explicit: [click]
  recent: 4
  snapshots: {refresh: 1d}
  sampling: {fanout: 3, recent_fanout: 2, top: 5}
split: {by: time, train_until: 2024-01-03, valid_until: 2024-01-04}
model: {dim: 8, heads: 2, tower_units: [8]}
"""

ITEMS, USERS = 30, 12


def toy_description():
    return parse_description(DESCRIPTION, "toy.yaml")


def toy_items():
    rng = np.random.default_rng(0)
    keys = np.arange(100, 100 + ITEMS)
    features = {"genre": rng.integers(-1, 4, (ITEMS, 2)), "length": rng.random(ITEMS).astype("f4")}
    return NodeTable(
        key=keys,
        id=keys.astype(str),
        features=features,
        first_seen=np.full(ITEMS, 1_704_000_000_000),
        train_count=np.where(np.arange(ITEMS) < 25, 3, 0),
    )


def toy_users():
    keys = np.arange(USERS)
    return NodeTable(
        key=keys,
        id=keys.astype(str),
        features={"age": keys % 3},
        first_seen=np.zeros(USERS, np.int64),
        train_count=np.ones(USERS, np.int64),
    )


def toy_record(rng, candidate=None, recent=None, neighbours=None, user=None):
    """One impression's GraphTensor, as the pipeline lays it out; `neighbours`: seed position -> list of (key,
    weight).
    """
    keys = np.arange(100, 100 + ITEMS)
    chosen = rng.permutation(keys)
    candidate = int(chosen[0]) if candidate is None else candidate
    recent = [int(k) for k in chosen[1 : 1 + rng.integers(0, 4)]] if recent is None else recent
    seeds = [candidate, *recent]
    if neighbours is None:
        neighbours = {
            i: [
                (int(k), float(rng.random() + 0.1))
                for k in rng.choice(keys[keys != s], rng.integers(0, 4), replace=False)
            ]
            for i, s in enumerate(seeds)
        }
    nodes = list(seeds)
    source, target, weight = [], [], []
    for position, edges in sorted(neighbours.items()):
        for key, w in edges:
            if key not in nodes:
                nodes.append(key)
            source.append(nodes.index(key))
            target.append(position)
            weight.append(w)
    weight = np.array(weight, "f4")
    total = np.bincount(target, weight, minlength=len(nodes)) if target else np.ones(1)
    share = (weight / total[target]).astype("f4") if target else weight
    user = int(rng.integers(USERS)) if user is None else user
    return tfgnn.GraphTensor.from_pieces(
        node_sets={
            "item": tfgnn.NodeSet.from_fields(features={"#id": np.array(nodes, "i8")}, sizes=[len(nodes)]),
            "user": tfgnn.NodeSet.from_fields(features={"#id": np.array([user], "i8")}, sizes=[1]),
            READOUT: tfgnn.NodeSet.from_fields(features=_readout(rng, user, candidate), sizes=[1]),
        },
        edge_sets={
            "swing": _edges(
                ("item", source), ("item", target), {"weight": weight, "propagation_weight": share}
            ),
            "recent": _edges(
                ("item", range(1, len(seeds))),
                ("user", [0] * len(recent)),
                {"age": np.ones(len(recent), "f4")},
            ),
            f"{READOUT}/candidate": _edges(("item", [0]), (READOUT, [0]), {}),
            f"{READOUT}/user": _edges(("user", [0]), (READOUT, [0]), {}),
        },
    )


def _readout(rng, user, candidate):
    return {
        "reward": np.array([rng.random() < 0.4], "f4"),
        "stay": np.array([rng.choice([np.nan, 5.0, 50.0])], "f4"),
        "content_duration": np.array([np.nan], "f4"),
        "time": np.array([1_704_200_000_000], "i8"),
        "impression_id": np.array([rng.integers(1 << 40)], "i8"),
        "user_id": np.array([user], "i8"),
        "item_id": np.array([candidate], "i8"),
        "position": np.array([rng.random()], "f4"),
        "device": np.array([rng.integers(3)], "i8"),
        "hour_of_day": np.array([12], "i8"),
        "item_age": np.array([np.nan], "f4"),
        "recent_count": np.array([0.5], "f4"),
    }


def _edges(source, target, features):
    adjacency = tfgnn.Adjacency.from_indices(
        (source[0], np.array(list(source[1]), "i4")), (target[0], np.array(list(target[1]), "i4"))
    )
    return tfgnn.EdgeSet.from_fields(features=features, sizes=[len(list(source[1]))], adjacency=adjacency)


def serialize(records):
    return tf.constant(
        [tfgnn.write_example(record).SerializeToString(deterministic=True) for record in records]
    )


def toy_tables(description):
    return FeatureTable(toy_items(), description.item_features), FeatureTable(
        toy_users(), description.user_features
    )


def toy_batch(records):
    """(batch graph, labels) of records, through the real parser."""
    description = toy_description()
    parsed = tfgnn.parse_example(record_spec(description), serialize(records))
    return compact(parsed, *toy_tables(description))


def toy_records(count, seed=0):
    rng = np.random.default_rng(seed)
    return [toy_record(rng) for _ in range(count)]


def toy_model(name="R5", seed=0, **spec):
    """A model that knows the first 25 items and every user; `spec` changes keys of `model` in the description."""
    tf.keras.utils.set_random_seed(seed)
    description = toy_description()
    sizes = {"item": {"genre": 4}, "user": {"age": 3}, "context": {"device": 3, "hour_of_day": 1}}
    model = E2EGRec(
        ModelInputs.from_description(description, 25, USERS, sizes),
        {**description.model.model_dump(), **spec},
        variant_named(name),
    )
    for encoder, group in model.entity_encoders:
        encoder.id_lookup.set_keys(toy_items().key[:25] if group == "item" else toy_users().key)
        name, size = ("genre", 4) if group == "item" else ("age", 3)
        encoder.feature_embedding.set_vocabulary(name, np.arange(size))
    model.context_embedding.set_vocabulary("device", np.arange(3))
    model.context_embedding.set_vocabulary("hour_of_day", np.array([12]))
    return model
