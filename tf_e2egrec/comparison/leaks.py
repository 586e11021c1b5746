"""Leak checks on the artefacts of one graph: samples of the records against the edge files and the logs."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from tf_e2egrec.comparison.logs import allowed_events, rows_with
from tf_e2egrec.dataset.artefact import Manifest, read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw
from tf_e2egrec.dataset.time_axis import RANK_SCALE
from tf_e2egrec.evaluation.leak_checks import (
    SampledEdges,
    SampledHistories,
    SnapshotTimes,
    require_allowed_support,
    require_equal_rows,
    require_known_edges,
    require_old_edges,
    require_older_recent_items,
    require_served_in_time,
)
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables

_FILES_PER_SPLIT = 4
_NEIGHBOURS_PER_RECORD = 8  # spread over all of them: the lightest are the likeliest to be wrong
_NEWEST_EVENT_TIME = b"newest_event_time"  # in the footer of an edge file
_CO_USERS = 2  # that a Swing or co-occurrence edge needs
_INDIRECT = ("random", "two-hop")  # kinds that link items which no user shares


class _Record(NamedTuple):
    """What a check needs of one subgraph record."""

    user: int
    candidate: int
    time: int
    neighbours: np.ndarray
    recent: np.ndarray
    age: np.ndarray


def check_leaks(
    run: RunDirectory, description: DatasetDescription, files: LogFiles, open_raw: OpenRaw, sample: int
) -> list[dict[str, Any]]:
    """Check a graph and its subgraphs.

    Args:
      run: holds both artefacts.
      description: what they were made from.
      files: every file of every log.
      open_raw: opens a path's bytes.
      sample: records per split; 0 checks the times of the snapshots and the numbers of rows only.

    Returns:
      Per check `check`, `graph` and `looked_at`, a number.

    Raises:
      E2EGRecError: a leak, in one sentence.
    """
    graph = read_manifest(run.graph, "swing", "e2egrec swing")
    subgraphs = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
    snapshots = _snapshot_times(run, graph)
    require_old_edges(snapshots, str(run.graph))
    found = {"edges are older than their snapshot (snapshots)": len(snapshots)}
    if description.graph.regime == "equal":
        counted = graph.counters.get("graph_rows", 0), graph.counters.get("ranker_rows", 0)
        require_equal_rows(*counted, str(run.graph))
        found["graph and ranker count the same rows (rows)"] = counted[0]
    if sample > 0:
        records = [
            record
            for split in subgraphs.details["files"]
            for record in _sample(run, subgraphs, split, sample)
        ]
        found |= _check_records(run, description, records, files, open_raw)
    return [
        {"check": check, "graph": description.graph.edges, "looked_at": count}
        for check, count in found.items()
    ]


def _check_records(
    run: RunDirectory,
    description: DatasetDescription,
    records: list[_Record],
    files: LogFiles,
    open_raw: OpenRaw,
) -> dict[str, int]:
    edges, is_known = _sampled_edges(run, description, records)
    histories = _sampled_histories(description, records)
    where = str(run.subgraphs)
    require_served_in_time(edges, where)
    require_known_edges(is_known, edges, where)
    items = np.unique(np.r_[edges.neighbour, edges.candidate])
    events = allowed_events(description, files, open_raw, np.unique(histories.user), items)
    spec = description.graph
    require_older_recent_items(histories, rows_with(events, description, spec.explicit), where)
    require_allowed_support(
        edges,
        rows_with(events, description, spec.positive),
        0 if spec.edges in _INDIRECT else _CO_USERS,
        spec.regime,
        str(run.graph),
    )
    explained = "hold both items of an edge" if spec.edges in _INDIRECT else "explain an edge"
    return {
        "neighbours come from a snapshot before the impression (neighbours)": len(edges.neighbour),
        f"older rows of regime {spec.regime} {explained} (edges)": len(edges.neighbour),
        "recent items are older than the impression (recent items)": len(histories.recent),
    }


def _snapshot_times(run: RunDirectory, graph: Manifest) -> dict[int, SnapshotTimes]:
    """By snapshot; the newest event is what the footers of the edge files say, and the manifest."""
    times = {}
    for name, record in graph.details["snapshots"].items():
        newest = int(record["newest_event_time"])
        for path in (run.graph / "edges" / f"snapshot={name}").glob("*.parquet"):
            newest = max(newest, int(pq.read_metadata(path).metadata[_NEWEST_EVENT_TIME]))
        times[int(name)] = SnapshotTimes(int(record["valid_from"]), newest)
    return times


def _sample(run: RunDirectory, subgraphs: Manifest, split: str, size: int) -> Iterator[_Record]:
    """Records from some files of a split, spread evenly over files and within them by runs."""
    entries = subgraphs.details["files"][split]
    if not entries:
        return
    chosen = sorted({int(place) for place in np.linspace(0, len(entries) - 1, _FILES_PER_SPLIT)})
    for turn, number in enumerate(chosen):
        entry = entries[number]
        take = min(-(-size // len(chosen)), entry["records"])
        skip = (entry["records"] - take) * turn // max(len(chosen) - 1, 1)
        data = tf.data.TFRecordDataset(str(run.subgraphs / entry["file"])).skip(skip).take(take)
        for serialized in data.as_numpy_iterator():
            yield _parsed(serialized)


def _parsed(serialized: bytes) -> _Record:
    feature = tf.train.Example.FromString(serialized).features.feature

    def ints(name: str) -> np.ndarray:
        return np.array(feature[name].int64_list.value, np.int64)

    nodes = ints("nodes/item.#id")
    of_candidate = ints("edges/swing.#target") == 0
    return _Record(
        user=int(ints("nodes/_readout.user_id")[0]),
        candidate=int(ints("nodes/_readout.item_id")[0]),
        time=int(ints("nodes/_readout.time")[0]),
        neighbours=nodes[ints("edges/swing.#source")[of_candidate]],
        recent=nodes[ints("edges/recent.#source")],
        age=np.array(feature["edges/recent.age"].float_list.value, np.float64),
    )


def _sampled_edges(
    run: RunDirectory, description: DatasetDescription, records: list[_Record]
) -> tuple[SampledEdges, np.ndarray]:
    """Some neighbours of each candidate, and whether the serving snapshot has these edges."""
    plan, top = SnapshotPlan.from_description(description), description.graph.sampling.top
    in_records = description.graph.sampling.has_neighbours_in_records
    tables = None if in_records else SnapshotTables(run.subgraphs)
    columns: dict[str, list[np.ndarray]] = {name: [np.zeros(0, np.int64)] for name in SampledEdges._fields}
    known = [np.zeros(0, bool)]
    ordered = sorted(records, key=lambda one: one.time)
    for snapshot, group in itertools.groupby(ordered, lambda one: int(plan.snapshot_at(np.array(one.time)))):
        table = NeighbourTable.load(run.graph, snapshot) if snapshot >= 0 else NeighbourTable.empty()
        window = plan.window_of(snapshot) if snapshot >= 0 else (0, 0)
        for record in group:
            neighbours = record.neighbours
            if tables is not None:
                neighbours = _neighbours(tables[snapshot], record.candidate)[:top]
            neighbours = _spread(neighbours, _NEIGHBOURS_PER_RECORD)
            known.append(np.isin(neighbours, _neighbours(table, record.candidate)))
            values = neighbours, record.candidate, *window, record.time
            for name, value in zip(SampledEdges._fields, values, strict=True):
                columns[name].append(np.broadcast_to(np.asarray(value, np.int64), neighbours.shape))
    return SampledEdges(**{name: np.concatenate(parts) for name, parts in columns.items()}), np.concatenate(
        known
    )


def _neighbours(table: NeighbourTable, item: int) -> np.ndarray:
    row = int(table.rows_of(np.array([item]))[0])
    return table.neighbours[table.indptr[row] : table.indptr[row + 1]] if row >= 0 else np.zeros(0, np.int64)


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly spaced, the first and the last among them."""
    return values if len(values) <= most else values[np.linspace(0, len(values) - 1, most).astype(np.int64)]


def _sampled_histories(description: DatasetDescription, records: list[_Record]) -> SampledHistories:
    lengths = [len(record.recent) for record in records]

    def repeated(values: list[int]) -> np.ndarray:
        return np.repeat(np.array(values, np.int64), lengths)

    scale = RANK_SCALE if description.time_is_rank else 1000.0
    return SampledHistories(
        user=repeated([record.user for record in records]),
        candidate=repeated([record.candidate for record in records]),
        recent=np.concatenate([np.zeros(0, np.int64), *(record.recent for record in records)]),
        time=repeated([record.time for record in records]),
        age=np.concatenate([np.zeros(0), *(record.age * scale for record in records)]),
    )
