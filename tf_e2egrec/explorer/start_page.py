"""The first page: what stands out in a run, with links to look closer."""

import numpy as np

from tf_e2egrec.dataset.counter_names import readable
from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.tables import note
from tf_e2egrec.explorer.explored_run import ExploredRun, heaviest
from tf_e2egrec.explorer.item_page import NO_LOGS
from tf_e2egrec.explorer.page_parts import bar, document, facts, grid, link

_MOST = 10


def start_page(explored: ExploredRun, shown: list[tuple[int, int]]) -> str:
    """Where a look at a run starts.

    Args:
      explored: the run.
      shown: (user, test impressions) of some users whose rankings can be looked at.
    """
    description, snapshot = explored.description, explored.snapshots[-1]
    table = explored.table(snapshot)
    known = [
        ("data set", description.name),
        ("regime", description.graph.regime),
        ("edges", f"{description.graph.edges}, of {', '.join(description.graph.positive)}"),
        ("items", f"{len(explored.items):,}"),
        ("users", f"{len(explored.users):,}"),
        (
            "items without a neighbour",
            f"{1 - len(table) / max(len(explored.items), 1):.1%} in the latest snapshot",
        ),
    ]
    users = grid(
        "users with most test impressions",
        ["user", "impressions"],
        [[link("user", explored.id_of("user", user)), f"{count:,}"] for user, count in shown],
    )
    return document(
        f"run of {description.name}",
        facts(known),
        note("Look at an item for its neighbours, at a user for the ranking with and without the graph."),
        tag("h2", "What stands out"),
        tag(
            "div", _degrees(explored, snapshot), _activity(explored), users, _missing(explored), class_="pair"
        ),
        _counters(explored),
    )


def _degrees(explored: ExploredRun, snapshot: int) -> Markup:
    table = explored.table(snapshot)
    items, counts = np.unique(table.neighbours, return_counts=True)
    often = [
        [link("item", explored.id_of("item", item)), f"{count:,}"]
        for item, count in heaviest((items, counts), _MOST)
    ]
    order = np.argsort(-table.weights, kind="stable")[:_MOST]
    targets = table.targets_of(order)
    heavy = []
    for edge, target in zip(order, targets, strict=True):
        source, target = int(table.neighbours[edge]), int(target)  # noqa: PLW2901
        users = explored.co_users(target, source, snapshot)
        count = "-" if users is None else f"{len(users):,}"
        ends = [link("item", explored.id_of("item", one)) for one in (target, source)]
        heavy.append([ends[0], ends[1], f"{table.weights[edge]:.4g}", count])
    return joined(
        grid("heaviest edges of the latest snapshot", ["item", "neighbour", "weight", "co-users"], heavy),
        grid("items that are a neighbour most often", ["item", "times"], often),
    )


def _activity(explored: ExploredRun) -> Markup:
    """Who acts most: one user with a large share of everything is seldom a person."""
    if explored.positive is None:
        return note(NO_LOGS)
    tables = []
    for kind, column in (("user", explored.positive.user), ("item", explored.positive.item)):
        most = heaviest(np.unique(column, return_counts=True), _MOST)
        largest = most[0][1] if most else 0
        rows = [
            [
                link(kind, explored.id_of(kind, key)),
                joined(bar(count, largest), f" {count:,}"),
                f"{count / len(column):.2%}",
            ]
            for key, count in most
        ]
        tables.append(grid(f"{kind}s with most positive events", [kind, "events", "of all"], rows))
    return joined(*tables)


def _missing(explored: ExploredRun) -> Markup:
    rows = [
        [name, kind, joined(bar(share, 1.0), f" {share:.1%}")]
        for kind in ("item", "user")
        for name, share in explored.missing_shares(kind).items()
    ]
    return grid("features that are missing", ["feature", "of", "share"], rows)


def _counters(explored: ExploredRun) -> Markup:
    rows = [[readable(name), f"{value:,}"] for name, value in sorted(explored.counters.items()) if value]
    return tag(
        "details",
        tag("summary", "counters of swing and subgraphs"),
        grid("counters", ["what", "number"], rows),
    )
