"""What the test rows of a comparison are sliced by: age and popularity of the item, activity of the user, neighbours."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.comparison.columns import Columns, cached_columns, digest_of
from tf_e2egrec.comparison.logs import all_events
from tf_e2egrec.dataset.artefact import fingerprint_of, read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw
from tf_e2egrec.dataset.time_axis import FOREVER, MS_PER_DAY
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.prior_events import PriorEvents
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory

STAGE = "slices"
UNKNOWN_AGE = -1
_VERSION = 1


def read_slices(
    target: Path,
    run: RunDirectory,
    description: DatasetDescription,
    rows: Columns,
    files: LogFiles,
    open_raw: OpenRaw,
) -> Columns:
    """The slice columns of the test rows; made once and kept in `target`.

    Args:
      target: the artefact's directory.
      run: of the graph whose neighbours are counted.
      description: what the graph was made from.
      rows: `time`, `user`, `item` of the predictions, int64 [n].
      files: every file of every log.
      open_raw: opens a path's bytes.

    Returns:
      The columns of `RowFacts.slices`.
    """
    graph = read_manifest(run.graph, "swing", "e2egrec swing")
    subgraphs = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")  # knows the ranker's logs, too
    fingerprint = fingerprint_of(STAGE, _VERSION, graph.fingerprint, subgraphs.fingerprint, digest_of(rows))

    def make() -> Columns:
        events = all_events(description, files, open_raw)
        facts = event_facts(events, rows, time_is_rank=description.time_is_rank)
        plan = SnapshotPlan.from_description(description)
        return facts | {"neighbours": neighbour_counts(run.graph, plan, rows["item"], rows["time"])}

    return cached_columns(target, STAGE, fingerprint, subgraphs.inputs, rows, make)


def event_facts(events: EventBlock, rows: Columns, *, time_is_rank: bool) -> Columns:
    """What the logs say about each row.

    Args:
      events: every event that feeds the ranker or the graph.
      rows: `time`, `user`, `item`, int64 [n].
      time_is_rank: ages have no length then, and are left out.

    Returns:
      `item_popularity` and `user_activity`, int64 [n]: events strictly before the row; `item_age`, int64 [n] milliseconds
      since the item's first event (`UNKNOWN_AGE` where it has none until then), and `fresh`, bool [n]: less than a day.
    """
    of_items, of_users = PriorEvents(events.item, events.time), PriorEvents(events.user, events.time)
    found = {
        "item_popularity": of_items.count(rows["item"], rows["time"]),
        "user_activity": of_users.count(rows["user"], rows["time"]),
    }
    if time_is_rank:
        return found
    first = of_items.first(rows["item"])
    age = np.where((first < FOREVER) & (first <= rows["time"]), rows["time"] - first, UNKNOWN_AGE)
    return {"item_age": age, "fresh": (age >= 0) & (age < MS_PER_DAY), **found}


def neighbour_counts(graph_dir: Path, plan: SnapshotPlan, item: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Neighbours of each item in the snapshot that serves its moment; int64 [n], 0 where there are none.

    Args:
      graph_dir: of the swing stage.
      plan: which snapshot serves which moment.
      item: int64 [n] keys.
      time: int64 [n].

    Raises:
      E2EGRecError: an edge file is damaged.
    """
    counts = np.zeros(len(item), np.int64)
    snapshots, snapshot = np.unique(plan.snapshot_at(time), return_inverse=True)
    order = np.argsort(snapshot, kind="stable")
    bounds = np.searchsorted(snapshot[order], np.arange(len(snapshots) + 1))
    for name, low, high in zip(snapshots.tolist(), bounds[:-1], bounds[1:], strict=True):
        rows = order[low:high]
        wanted, place = np.unique(item[rows], return_inverse=True)
        degree = np.zeros(len(wanted), np.int64)
        for path in sorted((graph_dir / "edges" / f"snapshot={name}").glob("*.parquet")):
            targets = _targets(path)
            at = np.minimum(np.searchsorted(wanted, targets), len(wanted) - 1)
            degree += np.bincount(at[wanted[at] == targets], minlength=len(wanted))
        counts[rows] = degree[place]
    return counts


def _targets(path: Path) -> np.ndarray:
    """The items whose neighbours an edge file lists, one per edge; int64."""
    try:
        return pq.ParquetFile(path).read(columns=["target"]).column("target").to_numpy()
    except (KeyError, pa.ArrowException) as error:
        raise E2EGRecError(f"the edge file {path} is damaged ({error}); make the graph again") from None
