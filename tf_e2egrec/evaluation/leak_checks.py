"""Leak checks: does any figure know what could not be known when the impression was shown?

Each check is a pure function over arrays that says in one sentence what is wrong and where; none needs the code that made the
artefacts. Times are int64 in `EventBlock.time` units.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_e2egrec.errors import E2EGRecError


class SnapshotTimes(NamedTuple):
    """When a graph snapshot becomes valid, and the newest event that its edges were computed from."""

    valid_from: int
    newest_event_time: int


class SampledEdges(NamedTuple):
    """Edges into the candidates of m sampled (impression, neighbour) pairs, of equal length.

    Attributes:
      neighbour, candidate: int64 item keys.
      start, end: int64, the window [start, end) of the events that the snapshot may see.
      time: int64, of the impression.
    """

    neighbour: np.ndarray
    candidate: np.ndarray
    start: np.ndarray
    end: np.ndarray
    time: np.ndarray


class SampledHistories(NamedTuple):
    """Recent items of sampled impressions, one row per (impression, recent item).

    Attributes:
      user, candidate, recent: int64 keys.
      time: int64, of the impression.
      age: float64, how long before the impression the recent item's event was, in the unit of `time`.
    """

    user: np.ndarray
    candidate: np.ndarray
    recent: np.ndarray
    time: np.ndarray
    age: np.ndarray


class LoggedRows(NamedTuple):
    """Rows of the logs, of equal length: int64 keys and times."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray

    def take(self, rows: np.ndarray) -> "LoggedRows":
        """Some of the rows."""
        return LoggedRows(self.user[rows], self.item[rows], self.time[rows])


def require_old_edges(snapshots: Mapping[int, SnapshotTimes], where: str) -> None:
    """Every snapshot is made from events strictly before it becomes valid.

    Args:
      snapshots: by id.
      where: what the sentence calls the graph.

    Raises:
      E2EGRecError: an edge is as new as the impressions that it serves.
    """
    for snapshot, times in snapshots.items():
        if times.newest_event_time >= times.valid_from:
            raise E2EGRecError(
                f"leak: snapshot {snapshot} of {where} holds an edge from an event at {times.newest_event_time}, but serves "
                f"impressions from {times.valid_from} on; make the graph again"
            )


def require_known_edges(is_known: np.ndarray, edges: SampledEdges, where: str) -> None:
    """Every sampled neighbour is one in the snapshot that serves the impression.

    Args:
      is_known: bool [m], whether the serving snapshot has the edge.
      edges: m sampled edges.
      where: what the sentence calls the subgraphs.

    Raises:
      E2EGRecError: a neighbour comes from elsewhere, such as a later snapshot.
    """
    if not is_known.all():
        bad = int(np.flatnonzero(~is_known)[0])
        raise E2EGRecError(
            f"leak: in {where} the item {edges.candidate[bad]}, shown at {edges.time[bad]}, has the neighbour "
            f"{edges.neighbour[bad]}, which the snapshot valid from {edges.end[bad]} does not know; run `e2egrec subgraphs` again"
        )


def require_served_in_time(edges: SampledEdges, where: str) -> None:
    """The window that a candidate's neighbours come from ends no later than the impression.

    Raises:
      E2EGRecError: an impression is served by a snapshot of its own future.
    """
    late = edges.end > edges.time
    if late.any():
        bad = int(np.flatnonzero(late)[0])
        raise E2EGRecError(
            f"leak: in {where} the item {edges.candidate[bad]}, shown at {edges.time[bad]}, is served by the snapshot valid "
            f"from {edges.end[bad]}; run `e2egrec subgraphs` again"
        )


def require_allowed_support(
    edges: SampledEdges, rows: LoggedRows, least_users: int, regime: str, where: str
) -> None:
    """Rows that the regime allows, and that are older than the snapshot, suffice to explain every sampled edge.

    Swing and co-occurrence link two items only where two users have both. If fewer have them within the window, the edge was made
    from rows that the graph must not see: newer ones (the impression itself, say) or those of users or surfaces outside the regime.

    Args:
      edges: m sampled edges; the caller has checked `end <= time`.
      rows: all positive rows of the edges' items that the regime lets the graph see.
      least_users: users that must have both items; 0: each item needs a row of its own only (a random or a two-hop graph).
      regime: for the sentence.
      where: what the sentence calls the graph.

    Raises:
      E2EGRecError: an edge has less support.
    """
    order = np.argsort(rows.item, kind="stable")
    rows = rows.take(order)
    for edge in range(len(edges.neighbour)):
        window = (int(edges.start[edge]), int(edges.end[edge]))
        users = [
            _users_of(rows, int(item), window) for item in (edges.neighbour[edge], edges.candidate[edge])
        ]
        if least_users == 0:
            enough = all(len(one) > 0 for one in users)
        else:
            enough = len(np.intersect1d(users[0], users[1], assume_unique=True)) >= least_users
        if not enough:
            raise E2EGRecError(
                f"leak: {where} links the items {edges.neighbour[edge]} and {edges.candidate[edge]} before {window[1]}, but the rows "
                f"that regime `{regime}` allows until then do not; make the graph again, and check `graph.rows` and `feeds`"
            )


def require_equal_rows(graph_rows: int, ranker_rows: int, where: str) -> None:
    """With the regime `equal` the graph counted as many rows as the ranker.

    Raises:
      E2EGRecError: it did not.
    """
    if graph_rows != ranker_rows:
        raise E2EGRecError(
            f"leak: {where} was made from {graph_rows} rows, but the ranker has {ranker_rows}: that is not the regime `equal`; "
            "declare `graph.regime: cross-domain`, or make the graph again"
        )


def require_older_recent_items(histories: SampledHistories, rows: LoggedRows, where: str) -> None:
    """Recent items are strictly older than the impression, never the candidate, and come from events in the logs.

    Args:
      histories: sampled recent items.
      rows: all explicit rows of these users that the regime lets the graph see.
      where: what the sentence calls the subgraphs.

    Raises:
      E2EGRecError: a recent item is not older, is the candidate, or has no older event.
    """
    problems = {
        "is not older than the impression": histories.age <= 0,
        "is the candidate itself": histories.recent == histories.candidate,
        "has no event before the impression": ~_has_older_row(histories, rows),
    }
    for problem, is_bad in problems.items():
        if is_bad.any():
            bad = int(np.flatnonzero(is_bad)[0])
            raise E2EGRecError(
                f"leak: in {where} a recent item of user {histories.user[bad]} at {histories.time[bad]} (item "
                f"{histories.recent[bad]}) {problem}; run `e2egrec subgraphs` again"
            )


def _users_of(rows: LoggedRows, item: int, window: tuple[int, int]) -> np.ndarray:
    """Users with a row of the item in [start, end); `rows` are sorted by item."""
    low, high = np.searchsorted(rows.item, [item, item + 1])
    time = rows.time[low:high]
    return np.unique(rows.user[low:high][(time >= window[0]) & (time < window[1])])


def _has_older_row(histories: SampledHistories, rows: LoggedRows) -> np.ndarray:
    """Whether the user has a row of the recent item before the impression; bool, per recent item."""
    keys = np.concatenate(
        [np.stack([rows.user, rows.item], axis=1), np.stack([histories.user, histories.recent], axis=1)]
    )
    number = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    of_rows, wanted = number[: len(rows.user)], number[len(rows.user) :]
    first = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, of_rows, rows.time)
    return first[wanted] < histories.time
