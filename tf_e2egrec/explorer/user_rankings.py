"""`UserRankings`: how trained models rank what a user was shown, with and without the graph."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.explorer.explored_run import ExploredRun
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.damaged_files import naming_damaged_records, require_whole_files
from tf_e2egrec.stages.train import load_model
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.impression_source import impressions
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns

_MOST_ROWS = 60
_ALONE = "R0"
PARTS = ("shared", "ltr", "gnn")


class Shown(NamedTuple):
    """A user's latest impressions of the test split, n of them, in order of time.

    Attributes:
      item, time: int64 [n].
      reward, stay: float32 [n], the labels.
      neighbours: int64 [n], edges into each candidate.
      scores: column heading -> probabilities of the reward [n].
      gate: mean openness for each part; empty without gate.
      attention: mean weight from part (row) to part; empty without attention.
      recent: keys of the recent items of the last impression, newest first.
      context: context features of the last impression, by name.
    """

    item: np.ndarray
    time: np.ndarray
    reward: np.ndarray
    stay: np.ndarray
    neighbours: np.ndarray
    scores: dict[str, np.ndarray]
    gate: list[float]
    attention: list[list[float]]
    recent: list[int]
    context: dict[str, Any]


class UserRankings:
    """Scores of one model on what users were shown.

    Args:
      explored: the run.
      model, seed: which model.

    Raises:
      E2EGRecError: the model is not trained, or a file of the run is damaged.
    """

    def __init__(self, explored: ExploredRun, model: str = "R5", seed: int = 0) -> None:
        self._explored, self.model = explored, model
        run, description = explored.run, explored.description
        read_manifest(run.model(model, seed), "train", f"e2egrec train --models {model} --seeds {seed + 1}")
        self._networks: dict[str, E2EGRec] = {model: load_model(run.model(model, seed))}
        alone = run.model(_ALONE, seed)
        if model != _ALONE and (alone / "manifest.json").exists():
            self._networks[_ALONE] = load_model(alone)
        manifest = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
        require_whole_files(run.subgraphs, manifest, ["test"])
        self._files = [
            (run.subgraphs / one["file"], int(one["records"])) for one in manifest.details["files"]["test"]
        ]
        if not self._files:
            raise E2EGRecError(
                f"{run.subgraphs} has no test impressions to rank; change `split` in the description"
            )
        columns = {"user_id": tf.int64}
        with naming_damaged_records(run.subgraphs):
            batches = readout_columns([str(path) for path, _ in self._files], columns).as_numpy_iterator()
            self._user = np.concatenate([batch["user_id"] for batch in batches])
        self._tables = (
            FeatureTable(explored.items, description.item_features),
            FeatureTable(explored.users, description.user_features),
        )

    def most_shown(self, most: int) -> list[tuple[int, int]]:
        """(user, impressions) of the users with most test impressions."""
        users, counts = np.unique(self._user, return_counts=True)
        order = np.lexsort([users, -counts])[:most]
        return [(int(users[row]), int(counts[row])) for row in order]

    def of(self, user: int) -> Shown | None:
        """What a user was shown, and what the models say of it; None where the test split has nothing of the user."""
        rows = np.flatnonzero(self._user == user)[-_MOST_ROWS:]
        if not len(rows):
            return None
        with naming_damaged_records(self._explored.run.subgraphs):
            graph, labels = self._batch(rows)
        readout = graph.node_sets[READOUT]
        network = self._networks[self.model]
        candidate = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source
        degree = tf.math.bincount(
            graph.edge_sets["swing"].adjacency.target, minlength=graph.node_sets["seed"].total_size
        )
        scores = {self.model: _scores(network, graph)}
        if network.variant.propagates(training=False):
            scores[f"{self.model}, neighbours taken away"] = _scores(network, without_neighbours(graph))
        if _ALONE in self._networks:
            scores[f"{_ALONE}, without a graph"] = _scores(self._networks[_ALONE], graph)
        inside = {name: value.numpy() for name, value in network.diagnose(graph).items()}
        context = {name: value.numpy()[-1] for name, value in readout.get_features_dict().items()}
        return Shown(
            item=readout["item_id"].numpy(),
            time=readout["time"].numpy(),
            reward=labels["reward"].numpy(),
            stay=labels["stay"].numpy(),
            neighbours=tf.gather(degree, candidate).numpy(),
            scores=scores,
            gate=inside["gate"].tolist() if "gate" in inside else [],
            attention=inside["attention"].tolist() if "attention" in inside else [],
            recent=_recent_of_last(graph),
            context={
                feature.name: context[feature.name] for feature in self._explored.description.context_features
            },
        )

    def _batch(self, rows: np.ndarray) -> tuple[tfgnn.GraphTensor, dict[str, tf.Tensor]]:
        """The batch graph of some rows of the test split, read as in evaluation, whatever the format."""
        description = self._explored.description
        training = description.training.model_copy(update={"batch_size": _MOST_ROWS})
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.tfrecord"
            with tf.io.TFRecordWriter(str(file)) as writer:
                for record in self._records(rows):
                    writer.write(record)
            data = impressions(
                self._explored.run.subgraphs,
                "test",
                description.model_copy(update={"training": training}),
                *self._tables,
                files=[str(file)],
            )
            return next(iter(data))

    def _records(self, rows: np.ndarray) -> list[bytes]:
        found, start = [], 0
        for path, count in self._files:
            here = set((rows[(rows >= start) & (rows < start + count)] - start).tolist())
            if here:
                records = tf.data.TFRecordDataset(str(path)).take(max(here) + 1).as_numpy_iterator()
                found += [record for number, record in enumerate(records) if number in here]
            start += count
        return found


def without_neighbours(graph: tfgnn.GraphTensor) -> tfgnn.GraphTensor:
    """The same batch graph with an empty edge set `swing`: Z becomes X, as for an item that the graph does not know."""
    swing = graph.edge_sets["swing"]
    none = tf.zeros([0], swing.adjacency.source.dtype)
    features = {name: value[:0] for name, value in swing.get_features_dict().items()}
    adjacency = tfgnn.Adjacency.from_indices(("item", none), ("seed", none))
    empty = tfgnn.EdgeSet.from_fields(features=features, sizes=tf.zeros([1], tf.int32), adjacency=adjacency)
    edge_sets = {name: graph.edge_sets[name] for name in graph.edge_sets}
    return tfgnn.GraphTensor.from_pieces(graph.context, dict(graph.node_sets), edge_sets | {"swing": empty})


def _scores(network: E2EGRec, graph: tfgnn.GraphTensor) -> np.ndarray:
    return network(graph, training=False)["reward"].numpy()


def _recent_of_last(graph: tfgnn.GraphTensor) -> list[int]:
    recent = graph.edge_sets["recent"].adjacency
    last = int(graph.node_sets["user"].total_size) - 1
    seeds = recent.source.numpy()[recent.target.numpy() == last]
    items = graph.node_sets["seed"]["item"].numpy()[seeds]
    return graph.node_sets["item"]["#id"].numpy()[items].tolist()
