"""Real requests to try an export with, and what the Python model answers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.request_inputs import FEATURE_PREFIX
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.stages.export_canary import Call
from tf_e2egrec.subgraphs.batch_graph import merge_records
from tf_e2egrec.subgraphs.graph_schema import seed_spec
from tf_e2egrec.subgraphs.subgraph_dataset import record_files

ROWS, CANDIDATES, FRESH = 6, 8, 2
Arrays = dict[str, np.ndarray]


class ExportSample:
    """Impressions of the validation split, as requests to each signature.

    Args:
      subgraphs: RUN_DIR/subgraphs.
      description: names and dtypes.
      items, users: node tables, for the text of ids.
      string_columns: as of `RankingModule`.
    """

    def __init__(
        self,
        subgraphs: Path,
        description: DatasetDescription,
        items: NodeTable,
        users: NodeTable,
        string_columns: frozenset[str],
    ) -> None:
        self._description = description
        self._tables = {"item": items, "user": users}
        self._strings = string_columns
        files = tf.data.TFRecordDataset(record_files(subgraphs, "valid"))
        self.records = np.array(list(files.take(ROWS * CANDIDATES).as_numpy_iterator()), dtype=object)

    def calls(self, module: RankingModule, reference: RankingModule, graph: ServingGraph) -> list[Call]:
        """A request to each signature of `module`, with the answers of `reference`.

        Args:
          module: what is exported.
          reference: the same model as `graph`: it builds the batch graph where `module` looks vectors up.
          graph: what both were made from.
        """
        rank = self.rank_inputs(reference.rank_inputs())
        candidates = rank["candidates"]
        bodies: dict[str, tuple[Callable[[Any], Mapping[str, tf.Tensor]], Arrays]] = {
            "rank": (reference.rank, rank),
            "rank_fresh": (reference.rank_fresh, rank | self.fresh_inputs(candidates, graph)),
            "embed": (reference.embed, {"items": np.unique(candidates)}),
            "serving_default": (
                lambda inputs: reference.score_examples(inputs["examples"]),
                {"examples": self.records},
            ),
        }
        made = []
        # On the CPU, as the process that tries the export: a GPU rounds matrix products to TF32.
        with tf.device("/CPU:0"):
            for name in module.signature_names():
                body, inputs = bodies[name]
                outputs = body({key: tf.constant(value) for key, value in inputs.items()})
                made.append(Call(name, inputs, {key: value.numpy() for key, value in outputs.items()}))
        return made

    def rank_inputs(self, specs: Mapping[str, tf.TensorSpec]) -> Arrays:
        """A batch of `rank` requests: the context and recent items of every eighth impression, and as candidates its
        item and those of the impressions after it; lists of several lengths.
        """
        batch = tfgnn.parse_example(seed_spec(self._description), tf.constant(self.records))
        merged = merge_records(batch)
        keys = tf.gather(merged.graph.node_sets["item"]["#id"], merged.place_node).numpy()
        first = merged.first_place.numpy()
        recents = [
            keys[start + 1 : start + places]
            for start, places in zip(first, merged.places.numpy(), strict=True)
        ]
        heads = np.arange(0, len(first), CANDIDATES)
        candidates = [keys[first[head : head + CANDIDATES - head % 3]] for head in heads]
        recent = [recents[head] for head in heads]
        inputs = {
            "user_id": self._raw("user", merged.graph.node_sets["user"]["#id"].numpy()[heads]),
            "time": merged.readout["time"].numpy()[heads],
            "candidates": self._raw("item", _padded(candidates)),
            "num_candidates": np.array([len(one) for one in candidates], np.int32),
            "recent": self._raw("item", _padded(recent)),
            "num_recent": np.array([len(one) for one in recent], np.int32),
        }
        for name in specs.keys() - inputs.keys():
            values = merged.readout[name].numpy()[heads]
            # The text of a context value is not kept: such a feature is sent as missing.
            inputs[name] = np.full(len(heads), b"", object) if name in self._strings else values
        return inputs

    def fresh_inputs(self, candidates: np.ndarray, graph: ServingGraph) -> Arrays:
        """The first candidates of every request as fresh ones, with features and neighbours of the tables."""
        chosen = candidates[:, :FRESH]
        keys = self._keys(chosen)
        neighbours = graph.neighbours_of(tf.constant(keys.ravel())).numpy()
        number = np.minimum((neighbours != MISSING_KEY).sum(axis=1), graph.fanout)
        width = neighbours.shape[1]
        inputs = {
            "fresh": chosen,
            "num_fresh": np.full(len(chosen), chosen.shape[1], np.int32),
            "fresh_neighbours": self._raw("item", neighbours).reshape(*chosen.shape, width),
            "fresh_weights": np.broadcast_to(
                np.linspace(2, 1, width, dtype=np.float32), (*chosen.shape, width)
            ),
            "num_fresh_neighbours": number.astype(np.int32).reshape(chosen.shape),
        }
        for name, values in graph.item_table(tf.constant(keys.ravel())).items():
            inputs[FEATURE_PREFIX + name] = values.numpy().reshape(*chosen.shape, *values.shape[1:])
        return inputs

    def _raw(self, column: str, keys: np.ndarray) -> np.ndarray:
        """Keys as requests carry them: as they are, or as text."""
        if column not in self._strings:
            return keys
        table = self._tables[column]
        rows = table.lookup(keys)
        texts = np.array([one.encode() for one in (*table.id, "")], dtype=object)
        return texts[rows]  # row -1 is the empty text

    def _keys(self, ids: np.ndarray) -> np.ndarray:
        """Inverse of `_raw` for items."""
        if "item" not in self._strings:
            return ids
        table = self._tables["item"]
        key_of = {text.encode(): key for text, key in zip(table.id, table.key, strict=True)}
        return np.vectorize(lambda one: key_of.get(one, MISSING_KEY), otypes=[np.int64])(ids)


def _padded(lists: list[np.ndarray]) -> np.ndarray:
    """Lists as rows, padded by the first element of all, as a server pads a batch; at least one column."""
    width = max(1, *(len(one) for one in lists))
    filler = next((one[0] for one in lists if len(one)), MISSING_KEY)
    return np.array([[*one, *[filler] * (width - len(one))] for one in lists], np.int64)
