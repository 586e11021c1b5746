"""A random log of two domains with feature tables, and TF-GNN's view of what the unigraph stage made of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.dataset.ids import KEY_BITS

DAY = 86_400_000
FIRST_DAY = 19_723  # 2024-01-01
USERS, ITEMS, DAYS, CAP, HALF_LIFE = 30, 20, 5, 6, DAY
MIDDLE, LATEST = FIRST_DAY + 3, FIRST_DAY + DAYS  # snapshots: the beginnings of these days
GOODS = 1 << KEY_BITS


def source(domain, behaviours, name=None, **other):
    return {
        "paths": f"{name or domain}-*.parquet",
        "domain": domain,
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {behaviour: {"column": behaviour} for behaviour in behaviours},
    } | other


CONTENT = {
    "name": "toy",
    "interactions": [
        source("video", ["click", "like"]),
        source("goods", ["click"], feeds="graph"),
        source("video", ["click"], "ranked", feeds="ranker"),
    ],
    "items": [
        {
            "paths": "videos.parquet",
            "id": "item",
            "domain": "video",
            "features": [
                {"name": "author", "type": "categorical"},
                {"name": "tags", "type": "categorical", "multivalued": True, "max_values": 3},
                {"name": "content", "type": "dense", "dimension": 2},
            ],
        },
        {
            "paths": "goods.parquet",
            "id": "item",
            "domain": "goods",
            "features": [{"name": "price", "type": "numeric"}],
        },
    ],
    "users": [{"paths": "users.parquet", "id": "user", "features": [{"name": "age", "type": "categorical"}]}],
    "ranker": {"reward": "click"},
    "graph": {
        "regime": "cross-domain",
        "positive": ["click"],
        "explicit": ["click", "like"],
        "snapshots": {"refresh": "1d", "window": "2d"},
        "swing": {"min_behaviours": 1},
        "explicit_half_life": "1d",
        "explicit_max_per_node": CAP,
        "node_sets": [{"name": "creator", "feature": "author"}, {"name": "tag", "feature": "tags"}],
    },
    "split": {"by": "time", "train_until": "2024-01-03", "valid_until": "2024-01-04"},
}


def toy_logs():
    """Every log with columns user, item, time, click, like."""
    random = np.random.default_rng(5)
    logs = {}
    for name, rows in (("video", 700), ("goods", 300), ("ranked", 100)):
        logs[name] = {
            "user": np.minimum(random.geometric(0.08, rows), USERS),
            "item": np.minimum(random.geometric(0.15, rows), ITEMS),
            "time": FIRST_DAY * DAY + random.choice(DAYS * DAY, rows, replace=False),
            "click": random.random(rows) < 0.7,
            "like": random.random(rows) < 0.2,
        }
    logs["ranked"]["user"][:] = USERS + 7  # a user of the ranker alone
    logs["video"]["time"][:2] = [MIDDLE * DAY, (MIDDLE - 2) * DAY]  # just out of, just inside the window
    logs["video"]["user"][:2] = USERS + 1
    logs["video"]["click"][:2] = True
    return logs


def write_data(folder, logs, files=2, **graph):
    folder.mkdir(exist_ok=True)
    for name, log in logs.items():
        for number in range(files):
            columns = {key: values[number::files] for key, values in log.items()}
            pq.write_table(pa.table(columns), folder / f"{name}-{number}.parquet")
    items = np.arange(1, ITEMS + 3)  # two items without events
    tags = [[] if i == 3 else [100 + i % 4, 100 + i % 3] for i in items]
    videos = {
        "item": items,
        "author": [None if i == 2 else 50 + i % 5 for i in items],
        "tags": tags,
        "content": [[i, 0.5] for i in items.astype(float)],
    }
    pq.write_table(pa.table(videos), folder / "videos.parquet")
    pq.write_table(pa.table({"item": items[:5], "price": items[:5] * 1.5}), folder / "goods.parquet")
    pq.write_table(pa.table({"user": np.arange(40, 42), "age": [3, 4]}), folder / "users.parquet")
    content = CONTENT | {"graph": CONTENT["graph"] | graph}
    (folder / "toy.yaml").write_text(yaml.safe_dump(content))
    return load_description(folder / "toy.yaml")


def read_graph(directory):
    """(nodes, edges) as TF-GNN's reader gives them: set -> id -> features; set -> (source, target) -> features."""
    from tensorflow_gnn.data.unigraph import DictStreams

    nodes = {
        name: {key: features(example) for key, example in stream}
        for name, stream in DictStreams.iter_nodes_via_path(str(directory)).items()
    }
    edges = {}
    for name, stream in DictStreams.iter_edges_via_path(str(directory)).items():
        rows = [(int(one), int(other), features(example)) for one, other, example in stream]
        edges[name] = {(one, other): row for one, other, row in rows}
        assert len(edges[name]) == len(rows), f"{name} has an edge twice"
    return nodes, edges


def features(example):
    out = {}
    for name, feature in example.features.feature.items():
        out[name] = list(getattr(feature, feature.WhichOneof("kind")).value)
    return out
