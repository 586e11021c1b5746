"""One log behind both outputs of the subgraphs stage."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from beam_pipelines.subgraphs import run_subgraphs
from beam_pipelines.swing import run_swing
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.impression_source import impressions

DAY = 86_400_000
START = 18_262 * DAY  # 2020-01-01
UNKNOWN = 1_000  # an item that no table describes and only one user sees

TEXT = """
name: small
seed: 3
interactions:
  paths: log.parquet
  user: u
  item: i
  time: {column: t, unit: ms}
  behaviours: {click: {always: true}, like: {column: liked}}
  stay: {column: seconds}
  context: [{name: device, type: categorical}]
items: {paths: items.parquet, id: i, features: [{name: price, type: numeric}]}
ranker: {reward: like, derived: [hour_of_day, recent_count]}
graph:
  positive: [click]
  explicit: [like]
  recent: 4
  snapshots: {refresh: 8h, window: 3d}
  swing: {min_behaviours: 2}
  sampling: {fanout: 6, recent_fanout: 3, evaluation_fanout: 8, top: 12, format: FORMAT}
split: {by: time, labels_from: 2020-01-01, train_until: 2020-01-05, valid_until: 2020-01-06}
model: {dim: 8, heads: 2, tower_units: [8]}
training: {batch_size: 64, resample: RESAMPLE}
"""


@dataclasses.dataclass(frozen=True)
class Source:
    """A description and RUN_DIR/subgraphs made from it."""

    description: DatasetDescription
    directory: Path

    @functools.cached_property
    def tables(self) -> tuple[FeatureTable, FeatureTable]:
        """Features of items and users."""
        tables = (
            NodeTable.read_parquet(self.directory / "nodes" / f"{name}.parquet") for name in ("item", "user")
        )
        features = self.description.item_features, self.description.user_features
        return tuple(FeatureTable(*pair) for pair in zip(tables, features, strict=True))

    def impressions(
        self, split: str, seed: int | None = None, resample: str = "never", skip: int = 0
    ) -> tf.data.Dataset:
        """Batches of a split."""
        training = self.description.training.model_copy(update={"resample": resample})
        description = self.description.model_copy(update={"training": training})
        return impressions(self.directory, split, description, *self.tables, seed=seed, skip=skip)


def write_sources(folder: Path) -> dict[str, Source]:
    """Format -> source, from the same log and graph."""
    rng, n = np.random.default_rng(0), 1_200
    log = {
        "u": rng.integers(0, 25, n),
        "i": np.minimum(rng.geometric(0.06, n), 40),
        "t": START + rng.integers(0, 6 * 24, n) * 3_600_000,
        "liked": rng.random(n) < 0.5,
        "seconds": rng.random(n) * 60,
        "device": rng.choice(3, n),
    }
    log["u"][::50], log["i"][::50] = 99, UNKNOWN
    pq.write_table(pa.table(log), folder / "log.parquet")
    pq.write_table(pa.table({"i": np.arange(60), "price": np.arange(60) / 7}), folder / "items.parquet")
    sources = {}
    for format in ("records", "table", "both"):
        path = folder / f"{format}.yaml"
        path.write_text(TEXT.replace("FORMAT", format).replace("RESAMPLE", "never"))
        description = load_description(path)
        if not sources:
            run_swing(description, folder / "graph")
        run_subgraphs(description, folder / "graph", folder / format)
        sources[format] = Source(description, folder / format)
    return sources


def places(graph: Any) -> list[list[tuple[int, list[tuple[int, float, float]]]]]:
    """Of each impression: (item, [(neighbour, weight, share)]) of the candidate and of the recent items."""
    ids = graph.node_sets["item"]["#id"].numpy()
    key = ids[graph.node_sets["seed"]["item"].numpy()]
    swing, recent = graph.edge_sets["swing"], graph.edge_sets["recent"].adjacency
    edges: list[list[tuple[int, float, float]]] = [[] for _ in key]
    columns = swing.adjacency.source, swing.adjacency.target, swing["weight"], swing["propagation_weight"]
    for source, target, weight, share in zip(*(column.numpy() for column in columns), strict=True):
        edges[target].append((int(ids[source]), float(weight), float(share)))
    found = []
    for row, seed in enumerate(graph.edge_sets[f"{READOUT}/candidate"].adjacency.source.numpy()):
        seeds = [seed, *recent.source.numpy()[recent.target.numpy() == row]]
        found.append([(int(key[one]), edges[one]) for one in seeds])
    return found
