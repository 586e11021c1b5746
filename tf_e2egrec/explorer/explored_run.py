"""`ExploredRun`: what the explorer shows of a run, read once."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description import DatasetDescription, FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY, string_keys
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.evaluation.leak_checks import LoggedRows
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory

_MOST_VALUES = 4  # of a vector that are shown
_HASHES_FROM = 1 << 40  # categories from here on are hashes of texts, which the run does not keep


class Neighbour(NamedTuple):
    """One neighbour of an item, and why it is one.

    Attributes:
      item: its key.
      weight: the Swing score.
      share: of the draws that take this neighbour first, `weight ** beta` over the sum.
      co_users: keys of the users with a positive event on both items in the snapshot's window; None without logs.
    """

    item: int
    weight: float
    share: float
    co_users: np.ndarray | None


class ExploredRun:
    """Node tables, snapshots and, where the logs were given, the events that the graph was made of.

    Args:
      run: the run directory.
      positive: every positive row of the graph's logs; None without logs.

    Attributes:
      strings: columns whose values the logs have as text (`user`, `item`, features).
      snapshots: ids, ascending.

    Raises:
      E2EGRecError: the run has no graph or no subgraphs.
    """

    def __init__(self, run: RunDirectory, positive: LoggedRows | None = None) -> None:
        self.run = run
        self.description: DatasetDescription = run.description()
        graph = read_manifest(run.graph, "swing", "e2egrec swing")
        subgraphs = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
        self.counters = graph.counters | subgraphs.counters
        self.strings = frozenset(subgraphs.details.get("string_columns", []))
        self.plan = SnapshotPlan.from_description(self.description)
        self.snapshots = sorted(int(name) for name in graph.details["snapshots"])
        self.items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
        self.users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
        self.positive = positive
        if positive is not None:
            self._by_item, self._by_user = (
                np.argsort(positive.item, kind="stable"),
                np.argsort(positive.user, kind="stable"),
            )

    @functools.lru_cache(maxsize=4)  # noqa: B019  one run lives as long as its server
    def table(self, snapshot: int) -> NeighbourTable:
        """The neighbours of a snapshot."""
        return NeighbourTable.load(self.run.graph, snapshot)

    def key_of(self, kind: str, text: str) -> int | None:
        """The key of an item or a user by its id as the data had it; None where there is none.

        Text ids that no feature table names are known by their hash alone.
        """
        table, wanted = self._nodes(kind), text.strip()
        found = np.flatnonzero(table.id == wanted)
        if not len(found) and kind in self.strings and wanted:
            found = np.flatnonzero(table.key == string_keys(np.array([wanted]))[0])
        return int(table.key[found[0]]) if len(found) else None

    def id_of(self, kind: str, key: int) -> str:
        """The id as the data had it; the key of what no table knows."""
        table = self._nodes(kind)
        row = int(table.lookup(np.array([key]))[0])
        return str(table.id[row]) if row >= 0 else str(key)

    def features_of(self, kind: str, key: int) -> dict[str, str]:
        """Features in words; those of a key that no table knows are missing."""
        table = self._nodes(kind)
        row = int(table.lookup(np.array([key]))[0])
        if row < 0:
            return {}
        return {spec.name: _in_words(table.features[spec.name][row], spec) for spec in self._features(kind)}

    def counts_of(self, kind: str, key: int) -> tuple[int | None, int | None]:
        """Time of the first event (None: never seen) and number of events in the training period."""
        table = self._nodes(kind)
        row = int(table.lookup(np.array([key]))[0])
        if row < 0 or table.first_seen is None or table.train_count is None:
            return None, None
        first = int(table.first_seen[row])
        return (first if first >= 0 else None), int(table.train_count[row])

    def missing_shares(self, kind: str) -> dict[str, float]:
        """Share of the nodes in which each feature is missing."""
        table = self._nodes(kind)
        return {
            spec.name: float(_is_missing(table.features[spec.name], spec).mean())
            for spec in self._features(kind)
        }

    def neighbours(self, item: int, snapshot: int) -> list[Neighbour]:
        """The neighbours that a snapshot gives an item, heaviest first, as far as they are sampled from."""
        table, sampling = self.table(snapshot), self.description.graph.sampling
        row = int(table.rows_of(np.array([item]))[0])
        if row < 0:
            return []
        place = slice(
            int(table.indptr[row]), min(int(table.indptr[row + 1]), int(table.indptr[row]) + sampling.top)
        )
        weights = table.weights[place]
        shares = weights.astype(np.float64) ** sampling.beta
        return [
            Neighbour(int(other), float(weight), float(share), self.co_users(item, int(other), snapshot))
            for other, weight, share in zip(
                table.neighbours[place], weights, shares / shares.sum(), strict=True
            )
        ]

    def co_users(self, item: int, other: int, snapshot: int) -> np.ndarray | None:
        """Users with a positive event on both items in the snapshot's window, ascending; None without logs."""
        if self.positive is None:
            return None
        start, end = self.plan.window_of(snapshot)
        seen = []
        for key in (item, other):
            rows = self.positive_rows("item", key)
            rows = rows[(self.positive.time[rows] >= start) & (self.positive.time[rows] < end)]
            seen.append(np.unique(self.positive.user[rows]))
        of_item, of_other = seen
        return np.intersect1d(of_item, of_other, assume_unique=True)

    def positive_rows(self, kind: str, key: int) -> np.ndarray:
        """Rows of `positive` that are of an item or a user; none without logs."""
        if self.positive is None:
            return np.zeros(0, np.int64)
        order, column = (
            (self._by_item, self.positive.item) if kind == "item" else (self._by_user, self.positive.user)
        )
        first, last = (np.searchsorted(column, key, side, sorter=order) for side in ("left", "right"))
        return order[first:last]

    def _nodes(self, kind: str) -> NodeTable:
        return self.items if kind == "item" else self.users

    def _features(self, kind: str) -> list[FeatureSpec]:
        features = self.description.item_features if kind == "item" else self.description.user_features
        return list(features)


def heaviest(counts: Mapping[int, int] | tuple[np.ndarray, np.ndarray], most: int) -> list[tuple[int, int]]:
    """The keys of the largest counts, largest first, ties by key.

    Args:
      counts: keys and their counts.
      most: how many.
    """
    keys, numbers = (
        (np.array(list(counts)), np.array(list(counts.values()))) if isinstance(counts, Mapping) else counts
    )
    order = np.lexsort([keys, -numbers])[:most]
    return [(int(keys[row]), int(numbers[row])) for row in order]


def _is_missing(values: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    if spec.type == "numeric":
        return np.isnan(values)
    empty = values == (MISSING_KEY if spec.type == "categorical" else 0)
    return empty if empty.ndim == 1 else empty.all(axis=1)


def _in_words(value: np.ndarray, spec: FeatureSpec) -> str:
    if bool(_is_missing(np.asarray(value)[np.newaxis], spec)[0]):
        return "missing"
    if spec.type == "numeric":
        return f"{float(value):,.4g}"
    parts = np.atleast_1d(value)
    if spec.type == "dense":
        shown = ", ".join(f"{float(one):.3f}" for one in parts[:_MOST_VALUES])
        return f"[{shown}, ...]" if len(parts) > _MOST_VALUES else f"[{shown}]"
    return ", ".join(
        f"text {one:x}"[:13] if one >= _HASHES_FROM else str(one)
        for one in map(int, parts)
        if one != MISSING_KEY
    )
