"""Swing item-item edges (arXiv 2010.05525) from interactions in memory.

    s(i, j) = sum over unordered user pairs u < v, both in U_i and U_j, of  w_u * w_v / (alpha2 + |I_u ∩ I_v|)
    w_u     = 1 / (alpha1 + |I_u|) ** beta

The anchor cap keeps `max_users_per_item` users of a hot item i when s(i, .) is computed, and leaves their
histories whole. The scores of hot items are therefore directed: s(i, j) and s(j, i) may differ.
"""

import concurrent.futures
import dataclasses
import itertools
import os

import numpy as np

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph import swing_kernel, swing_window
from tf_e2egrec.graph.swing_histories import NEVER, SwingHistories
from tf_e2egrec.graph.window_histories import WindowHistories

_PIECES_PER_THREAD = 8  # anchors differ in cost; small pieces keep the threads equally busy


@dataclasses.dataclass(frozen=True)
class SwingEdges:
    """Directed edges neighbour -> anchor, ordered by (target, weight descending, source).

    Attributes:
      source: int64 [E] item keys of the neighbours.
      target: int64 [E] item keys of the anchors.
      weight: float32 [E] Swing scores.
      normalised: float32 [E], the weight divided by the anchor's largest weight; None unless asked for.
      counters: `edges`, `items` (anchors with an edge), what the caps took (`users_below_min`,
        `users_capped`, `behaviours_capped`, `items_capped`, `anchor_users_capped`), and the work done:
        `pair_lookups` (ordered pairs of an anchor's users) and `contributions` (terms added).
      newest_event_time: the newest event in a history that an edge was computed from; None without edges.
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    normalised: np.ndarray | None
    counters: dict[str, int]
    newest_event_time: int | None

    def __len__(self) -> int:
        """Number of edges."""
        return len(self.source)


def swing_edges(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray | None = None,
    spec: SwingSpec | None = None,
    seed: int = 0,
    *,
    symmetrise: bool = False,
    threads: int | None = None,
) -> SwingEdges:
    """Swing edges of a log of interactions.

    Args:
      users, items: int64 [n] keys, in any order, duplicates allowed; rows with a missing key (-1) are dropped
        and counted (`rows_without_key`).
      times: int64 [n], any unit; decides what a user over the cap keeps. Absent: all equal, so that the
        smallest item keys are kept.
      spec: parameters and caps; `SwingSpec()` when absent.
      seed: of the anchor cap.
      symmetrise: give both directions of an edge the larger of their weights, adding the missing direction;
        an item may then have more than `spec.top` neighbours.
      threads: number of threads, all cores when absent; does not change the result.

    Raises:
      E2EGRecError: the arrays differ in length.

    Example: two users share items 7 and 8.
      >>> edges = swing_edges(np.array([1, 1, 2, 2]), np.array([7, 8, 7, 8]), spec=SwingSpec(min_behaviours=2))
      >>> sorted(zip(edges.source.tolist(), edges.target.tolist()))
      [(7, 8), (8, 7)]
    """
    spec = spec or SwingSpec()
    users, items = np.asarray(users, np.int64), np.asarray(items, np.int64)
    times = np.zeros(len(users), np.int64) if times is None else np.asarray(times, np.int64)
    shapes = [array.shape for array in (users, items, times)]
    if users.ndim != 1 or len(set(shapes)) > 1:
        raise E2EGRecError(f"users, items and times must be arrays of one length. Received shapes: {shapes}")
    present = (users != MISSING_KEY) & (items != MISSING_KEY)
    histories = SwingHistories.from_interactions(users[present], items[present], times[present], seed)
    edges = window_edges(histories, spec, threads=threads or available_cores())
    edges.counters["rows_without_key"] = int(len(present) - present.sum())
    return symmetrised(edges) if symmetrise else edges


def window_edges(
    histories: SwingHistories,
    spec: SwingSpec,
    start: int = -NEVER,
    end: int = NEVER,
    *,
    is_anchor: np.ndarray | None = None,
    is_counted: np.ndarray | None = None,
    threads: int = 1,
) -> SwingEdges:
    """Swing edges of the anchors from the events of [start, end).

    Args:
      histories: whole histories of every user of every anchor.
      spec: parameters and caps.
      start, end: the window, in the unit of `histories.time`.
      is_anchor: bool [V]; all items when absent.
      is_counted: bool [U], users that enter the user counters; all when absent.
      threads: over the anchors.
    """
    n_items = len(histories.item_keys)
    is_anchor = np.ones(n_items, bool) if is_anchor is None else is_anchor
    is_counted = np.ones(len(histories.user), bool) if is_counted is None else is_counted
    pointers, rows, user_caps = swing_window.window_rows(
        histories.offsets,
        histories.time,
        histories.repeated_at,
        is_counted,
        (start, end),
        (spec.min_behaviours, spec.max_behaviours),
    )
    window = _window_histories(histories, pointers, rows, spec)
    anchors, offsets, users, item_caps = swing_window.anchor_users(
        pointers, window.items, histories.draw[rows], is_anchor, spec.max_users_per_item
    )

    def scores(first: int, last: int) -> tuple[np.ndarray, ...]:
        return swing_kernel.anchor_scores(
            anchors[first:last], offsets[first : last + 1], users, window, n_items, spec.top
        )

    pieces = _pieces(offsets, threads)
    if len(pieces) > 1:
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(lambda piece: scores(*piece), pieces))
    else:
        parts = [scores(*piece) for piece in pieces]
    source, target, weight = (np.concatenate([part[column] for part in parts]) for column in range(3))
    work = np.array([part[3] for part in parts])
    return _edges(
        (histories.item_keys[source], histories.item_keys[target], weight),
        _counters(user_caps, item_caps, work),
        int(work[:, swing_kernel.NEWEST_TIME].max()) if len(source) else None,
        normalise=spec.normalise,
    )


def symmetrised(edges: SwingEdges) -> SwingEdges:
    """The edges in both directions, each with the larger of the two weights."""
    source, target = np.r_[edges.source, edges.target], np.r_[edges.target, edges.source]
    weight = np.r_[edges.weight, edges.weight]
    order = np.lexsort((-weight, source, target))
    source, target, weight = source[order], target[order], weight[order]
    is_first = np.ones(len(source), bool)
    is_first[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    source, target, weight = source[is_first], target[is_first], weight[is_first]
    order = np.lexsort((source, -weight, target))
    return _edges(
        (source[order], target[order], weight[order]),
        edges.counters,
        edges.newest_event_time,
        normalise=edges.normalised is not None,
    )


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _counters(user_caps: np.ndarray, item_caps: np.ndarray, work: np.ndarray) -> dict[str, int]:
    """The kernels' counters by name; `work` has a row for each piece."""
    return {
        "users_below_min": int(user_caps[swing_window.USERS_BELOW_MIN]),
        "users_capped": int(user_caps[swing_window.USERS_CAPPED]),
        "behaviours_capped": int(user_caps[swing_window.BEHAVIOURS_CAPPED]),
        "items_capped": int(item_caps[swing_window.ITEMS_CAPPED]),
        "anchor_users_capped": int(item_caps[swing_window.ANCHOR_USERS_CAPPED]),
        "pair_lookups": int(work[:, swing_kernel.PAIR_LOOKUPS].sum()),
        "contributions": int(work[:, swing_kernel.CONTRIBUTIONS].sum()),
    }


def _edges(
    columns: tuple[np.ndarray, np.ndarray, np.ndarray],
    counters: dict[str, int],
    newest_event_time: int | None,
    *,
    normalise: bool,
) -> SwingEdges:
    """Put sorted edges (source, target, weight) together with counters and, if asked, normalised weights."""
    source, target, weight = columns
    is_first = np.ones(len(target), bool)
    is_first[1:] = target[1:] != target[:-1]
    largest = weight[is_first][np.cumsum(is_first) - 1]
    return SwingEdges(
        source=source,
        target=target,
        weight=weight,
        normalised=weight / largest if normalise else None,
        counters={**counters, "edges": len(source), "items": int(is_first.sum())},
        newest_event_time=newest_event_time,
    )


def _window_histories(
    histories: SwingHistories, pointers: np.ndarray, rows: np.ndarray, spec: SwingSpec
) -> WindowHistories:
    """The kernel's view of the rows in a window.

    The tables of w_u and 1 / (alpha2 + overlap) are made by scalar arithmetic: a vectorised power may round
    differently with the position in the array, and so with the sharding.
    """
    alpha1, alpha2, beta = spec.coefficients
    lengths = np.diff(pointers)
    numbers = range(1, int(lengths.max(initial=1)) + 1)
    return WindowHistories(
        pointers=pointers,
        items=histories.item[rows],
        weights=np.array([0.0] + [1.0 / (alpha1 + number) ** beta for number in numbers])[lengths],
        newest=histories.time[rows[pointers[1:] - 1]] if len(rows) else np.zeros(0, np.int64),
        inverse=np.array([0.0] + [1.0 / (alpha2 + number) for number in numbers]),
    )


def _pieces(offsets: np.ndarray, threads: int) -> list[tuple[int, int]]:
    """Cut the anchors into ranges of about equal cost; there is at least one, maybe empty."""
    n_anchors = len(offsets) - 1
    if threads == 1 or n_anchors < 2:
        return [(0, n_anchors)]
    sizes = np.diff(offsets).astype(np.float64)
    cost = np.cumsum(sizes * (sizes + 32.0))  # pairs, and reading the histories
    shares = np.linspace(0.0, cost[-1], threads * _PIECES_PER_THREAD + 1)[1:-1]
    bounds = [0, *np.searchsorted(cost, shares).tolist(), n_anchors]
    return [(first, last) for first, last in itertools.pairwise(bounds) if first < last]
