"""The page of an item: what it is, its neighbours, and why they are neighbours."""

import numpy as np

from tf_e2egrec.dataset.time_axis import day_names
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.tables import note
from tf_e2egrec.explorer.explored_run import ExploredRun, Neighbour, heaviest
from tf_e2egrec.explorer.page_parts import bar, document, facts, grid, link, moment

_MOST_FEATURES = 4
_MOST_CO_USERS = 6
_MOST_TARGETS = 12
NO_LOGS = "Which users link two items is not known without the logs; start `e2egrec explore` with --data and their folder."


def item_page(explored: ExploredRun, key: int, snapshot: int) -> str:
    """Everything that the explorer knows of an item.

    Args:
      explored: the run.
      key: of the item.
      snapshot: whose neighbours are shown.
    """
    name = explored.id_of("item", key)
    neighbours = explored.neighbours(key, snapshot)
    is_rank = explored.description.time_is_rank
    first, count = explored.counts_of("item", key)
    known = [
        ("first seen", moment(first, is_rank) if first is not None else "never"),
        ("events in training", f"{count:,}" if count is not None else "-"),
        *explored.features_of("item", key).items(),
    ]
    valid_from = moment(explored.plan.valid_from(snapshot), is_rank)
    return document(
        f"item {name}",
        facts(known),
        tag("h2", "Neighbours"),
        _snapshots(explored, name, snapshot),
        note(
            f"Snapshot {snapshot} serves impressions from {valid_from} on, and was made of older events alone."
        ),
        _neighbours(explored, key, snapshot, neighbours),
        note(NO_LOGS) if explored.positive is None else "",
        tag("h2", "Of whom it is a neighbour"),
        _targets(explored, key, snapshot),
        _days(explored, "item", key),
    )


def _snapshots(explored: ExploredRun, name: str, snapshot: int) -> Markup:
    """Links to the snapshots beside this one, and to the last."""
    known = explored.snapshots
    place = known.index(snapshot) if snapshot in known else len(known) - 1
    beside = {
        "earlier": known[max(place - 1, 0)],
        "later": known[min(place + 1, len(known) - 1)],
        "latest": known[-1],
    }
    links = (tag("li", link("item", name, label, snapshot=number)) for label, number in beside.items())
    return tag("nav", tag("ul", *links), aria_label="Snapshots")


def _neighbours(explored: ExploredRun, key: int, snapshot: int, neighbours: list[Neighbour]) -> Markup:
    own = explored.features_of("item", key)
    shown = list(own)[:_MOST_FEATURES]
    largest = max((one.weight for one in neighbours), default=0.0)
    rows = []
    for number, one in enumerate(neighbours, 1):
        features = explored.features_of("item", one.item)
        cells = [features.get(feature, "missing") for feature in shown]
        same = [
            tag("b", cell) if cell == own.get(feature) else cell
            for feature, cell in zip(shown, cells, strict=True)
        ]
        weight = joined(bar(one.weight, largest), f" {one.weight:.4g}")
        name = link("item", explored.id_of("item", one.item), snapshot=snapshot)
        count = "-" if one.co_users is None else f"{len(one.co_users):,}"
        rows.append([name, number, weight, f"{one.share:.1%}", count, _who(explored, one), *same])
    columns = ["item", "rank", "weight", "drawn first", "co-users", "users who did both", *shown]
    return grid(
        f"{len(neighbours)} neighbours that are sampled from; bold: as of this item",
        columns,
        rows,
        ("users who did both",),
    )


def _who(explored: ExploredRun, one: Neighbour) -> Markup:
    """Some of the users that link two items, each with the number of its positive events: a weak witness has many."""
    if one.co_users is None:
        return Markup("")
    counted = {int(user): len(explored.positive_rows("user", int(user))) for user in one.co_users}
    strongest = sorted(counted, key=lambda user: (counted[user], user))[:_MOST_CO_USERS]
    parts = [
        joined(link("user", explored.id_of("user", user)), f" ({counted[user]:,})") for user in strongest
    ]
    if len(counted) > len(strongest):
        parts.append(joined(f"and {len(counted) - len(strongest):,} more"))
    return Markup(", ".join(parts))


def _targets(explored: ExploredRun, key: int, snapshot: int) -> Markup:
    table = explored.table(snapshot)
    edges = np.flatnonzero(table.neighbours == key)
    targets = table.targets_of(edges)
    order = np.lexsort([targets, -table.weights[edges]])[:_MOST_TARGETS]
    rows = [
        [
            link("item", explored.id_of("item", int(targets[row])), snapshot=snapshot),
            f"{table.weights[edges[row]]:.4g}",
        ]
        for row in order
    ]
    return grid(f"a neighbour of {len(edges):,} items; the heaviest edges", ["item", "weight"], rows)


def _days(explored: ExploredRun, kind: str, key: int) -> Markup:
    """Positive events by day, of logs with dates."""
    rows = explored.positive_rows(kind, key)
    if explored.positive is None or not len(rows) or explored.description.time_is_rank:
        return Markup("")
    days, counts = np.unique(day_names(explored.positive.time[rows], time_is_rank=False), return_counts=True)
    largest = int(counts.max())
    lines = [
        [day, joined(bar(int(count), largest), f" {count:,}")]
        for day, count in zip(days, counts, strict=True)
    ]
    users = heaviest(np.unique(explored.positive.user[rows], return_counts=True), 3)
    repeated = ", ".join(f"{explored.id_of('user', user)} ({count})" for user, count in users if count > 1)
    remark = f"Users who come again most: {repeated}." if repeated else "No user comes twice."
    return joined(
        tag("h2", "Positive events by day"),
        grid("by day", ["day", "events"], lines),
        note(remark),
    )
