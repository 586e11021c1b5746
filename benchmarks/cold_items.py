"""What a request gains by describing an item that is newer than the export.

    python -m benchmarks.cold_items RUN_DIR [--model R5] [--every 10] [--json]

The export is made as of the first moment of the test split: it knows the items that had appeared by then, and the graph snapshot of
that moment. Every impression of the test split whose item is newer is ranked three times by the export's own signatures:

* `unknown item`: `rank`, which has nothing but the context and the user's history;
* `features`: `rank_fresh` with the item's features and no neighbours;
* `features and neighbours`: `rank_fresh` with its neighbours in the snapshot that served the impression, too.

AUC and GAUC (by user) are of these impressions alone: new positives against new negatives. Every trained seed of the model counts once;
the deviation is that of one seed.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.metrics import auc, gauc
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.request_inputs import FEATURE_PREFIX
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import MODEL_FILE, read_subgraphs_manifest
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.impression_source import impressions
from tf_e2egrec.subgraphs.subgraph_dataset import record_files

if TYPE_CHECKING:
    import tensorflow_gnn as tfgnn

    from tf_e2egrec.models import E2EGRec

UNKNOWN = 1 << 61
"""Added to the id of a new item, so that no vocabulary has it: one that is still trained in the test period may."""

MODES = ("unknown item", "features", "features and neighbours")
Arrays = dict[str, np.ndarray]


class Cold(NamedTuple):
    """Impressions of new items as requests of one candidate each.

    Attributes:
      inputs: of `rank_fresh`, by name.
      reward: label, float32 [n].
    """

    inputs: Arrays
    reward: np.ndarray


def cold_impressions(graph: "tfgnn.GraphTensor", reward: tf.Tensor, new: np.ndarray) -> Cold:
    """The impressions of a batch graph whose candidate is among `new`, int64 keys."""
    ids = graph.node_sets["item"]["#id"].numpy()
    seed_item = graph.node_sets["seed"]["item"].numpy()
    candidate = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source.numpy()
    chosen = np.flatnonzero(np.isin(ids[seed_item[candidate]], new))
    item = seed_item[candidate[chosen]]
    swing, recent = graph.edge_sets["swing"], graph.edge_sets["recent"].adjacency
    edges = swing.adjacency
    recent_ids, num_recent = _lists(ids[seed_item[recent.source.numpy()]], recent.target.numpy(), chosen)
    seeds = candidate[chosen]
    neighbours, number = _lists(ids[edges.source.numpy()], edges.target.numpy(), seeds)
    weights, _ = _lists(swing["weight"].numpy(), edges.target.numpy(), seeds)
    readout = graph.node_sets[READOUT].get_features_dict()
    key = (ids[item] + UNKNOWN)[:, np.newaxis]
    ones = np.ones(len(chosen), np.int32)
    inputs = {name: values.numpy()[chosen] for name, values in readout.items()}
    inputs |= {
        "user_id": graph.node_sets["user"]["#id"].numpy()[chosen],
        "recent": recent_ids,
        "num_recent": num_recent,
        "candidates": key,
        "num_candidates": ones,
        "fresh": key,
        "num_fresh": ones,
        "fresh_neighbours": neighbours[:, np.newaxis],
        "fresh_weights": weights[:, np.newaxis],
        "num_fresh_neighbours": number[:, np.newaxis],
    }
    for name, values in graph.node_sets["item"].get_features_dict().items():
        inputs[FEATURE_PREFIX + name] = values.numpy()[item][:, np.newaxis]
    return Cold(inputs, reward.numpy()[chosen])


def _lists(values: np.ndarray, owner: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of each of `owners` in order, padded by 0: [n, longest] and int32 [n]; `owner` is ascending."""
    start, end = (np.searchsorted(owner, owners, side) for side in ("left", "right"))
    number = end - start
    place = start[:, np.newaxis] + np.arange(number.max(initial=0))
    is_listed = place < end[:, np.newaxis]
    padded = np.append(values, values.dtype.type(0))  # one more: there may be none
    return np.where(is_listed, padded[np.where(is_listed, place, -1)], 0), number.astype(np.int32)


class ColdRun:
    """A run as its export would have known it when the test split began.

    Args:
      run: the run directory.

    Raises:
      E2EGRecError: it is no run with subgraphs, or its node tables say nothing about time.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run, self.description = run, run.description()
        manifest = read_subgraphs_manifest(run, self.description)
        self.items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
        self.users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
        if self.items.first_seen is None:
            raise E2EGRecError(
                f"{run.subgraphs} does not say when items appeared; run `e2egrec subgraphs` again"
            )
        self.moment = int(manifest.details["time_ranges"]["test"][0])
        self.is_new = self.items.first_seen >= self.moment

    def module(self, network: "E2EGRec") -> RankingModule:
        """The export of a trained model, without the new items; all ids of its requests are keys."""
        known = ~self.is_new
        optional = (self.items.first_seen, self.items.train_count)
        items = dataclasses.replace(
            self.items,
            key=self.items.key[known],
            id=self.items.id[known],
            features={name: values[known] for name, values in self.items.features.items()},
            first_seen=optional[0][known] if optional[0] is not None else None,
            train_count=optional[1][known] if optional[1] is not None else None,
        )
        snapshot = int(SnapshotPlan.from_description(self.description).snapshot_at(np.array(self.moment)))
        neighbours = NeighbourTable.load(self.run.graph, snapshot)
        graph = ServingGraph(
            self.description, items, self.users, neighbours.truncate(self.description.graph.sampling.top)
        )
        return RankingModule(network, graph, self.description, frozenset(), "hybrid")

    def impressions(self, every: int) -> Iterator[Cold]:
        """Impressions of new items, from every so many-th file and batch of the test split."""
        tables = (
            FeatureTable(self.items, self.description.item_features),
            FeatureTable(self.users, self.description.user_features),
        )
        files = record_files(self.run.subgraphs, "test")
        data = impressions(self.run.subgraphs, "test", self.description, *tables, files=files)
        new = self.items.key[self.is_new]
        for graph, labels in data.shard(every, 0):
            found = cold_impressions(graph, labels["reward"], new)
            if len(found.reward):
                yield found


def predictions(module: RankingModule, data: Iterator[Cold]) -> Arrays:
    """`reward`, `user`, and the predicted reward by each of `MODES`; [n]."""
    calls = module.signatures()
    rows: dict[str, list[np.ndarray]] = {}
    for inputs, reward in data:
        without = inputs | {"num_fresh_neighbours": np.zeros_like(inputs["num_fresh_neighbours"])}
        scored = (
            _answer(calls["rank"], module.rank_inputs(), inputs),
            _answer(calls["rank_fresh"], module.rank_fresh_inputs(), without),
            _answer(calls["rank_fresh"], module.rank_fresh_inputs(), inputs),
        )
        batch = dict(zip(MODES, scored, strict=True)) | {"reward": reward, "user": inputs["user_id"]}
        for name, values in batch.items():
            rows.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in rows.items()}


def _answer(call: Callable[..., Any], specs: Mapping[str, tf.TensorSpec], inputs: Arrays) -> np.ndarray:
    given = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
    return call(**given)["reward"].numpy()[:, 0]


def figures_of(rows: Arrays) -> dict[str, dict[str, float]]:
    """AUC and GAUC by mode."""
    reward, user = rows["reward"], rows["user"]
    return {
        mode: {"auc": auc(reward, rows[mode]), "gauc": gauc(reward, rows[mode], user).value} for mode in MODES
    }


def measure(cold: ColdRun, model: str, every: int) -> dict[str, Any]:
    """Figures of every trained seed, and how many impressions they are of.

    Raises:
      E2EGRecError: the model is not trained, sees no graph, or nothing new was met.
    """
    directories = [one for name, _, one in cold.run.trained_models() if name == model]
    if not directories:
        raise E2EGRecError(f"{cold.run.models} holds no trained {model}; run `e2egrec train` first")
    seeds = []
    for directory in directories:
        tf.keras.backend.clear_session()
        network = tf.keras.models.load_model(directory / MODEL_FILE, compile=False)
        if not network.variant.propagates(training=False):
            raise E2EGRecError(f"{model} sees no graph and takes no fresh items; name another --model")
        rows = predictions(cold.module(network), cold.impressions(every))
        if not rows:
            raise E2EGRecError(f"no item of the test split of {cold.run.root} is new: nothing to measure")
        seeds.append(figures_of(rows))
    met = {"impressions": len(rows["reward"]), "positives": int(rows["reward"].sum())}
    return {"model": model, "new_items": int(cold.is_new.sum()), **met, "seeds": seeds}


def table_of(found: Mapping[str, Any]) -> Table:
    """Mean and deviation over the seeds."""
    table = Table("request", "AUC", "GAUC", title=f"{found['model']}, {len(found['seeds'])} seeds")
    for mode in MODES:
        cells = []
        for metric in ("auc", "gauc"):
            values = np.array([one[mode][metric] for one in found["seeds"]])
            spread = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.4f}{spread}")
        table.add_row(mode, *cells)
    return table


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 2 where the run cannot be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--model", default="R5", help="a model that sees the graph (R5)")
    parser.add_argument("--every", type=int, default=1, help="look at one batch in so many (1: at all)")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON line")
    arguments = parser.parse_args(argv)
    try:
        found = measure(ColdRun(RunDirectory(arguments.run)), arguments.model, max(1, arguments.every))
    except E2EGRecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not arguments.json:
        Console().print(table_of(found))
        print(
            f"{found['impressions']:,} impressions, {found['positives']:,} of them positive; {found['new_items']:,} new items in the logs"
        )
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
