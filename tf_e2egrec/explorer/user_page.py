"""The page of a user: history, ranking with and without the graph, attention, the request that serving would answer."""

import json

import numpy as np

from tf_e2egrec.evaluation.html_report.markup import Markup, joined, tag
from tf_e2egrec.evaluation.html_report.tables import note
from tf_e2egrec.explorer.explored_run import ExploredRun, heaviest
from tf_e2egrec.explorer.item_page import NO_LOGS
from tf_e2egrec.explorer.page_parts import document, facts, grid, link, moment
from tf_e2egrec.explorer.serving_request import predict_command, rank_request
from tf_e2egrec.explorer.user_rankings import PARTS, Shown

_MOST_EVENTS = 30


def user_page(explored: ExploredRun, key: int, model: str, shown: Shown | None) -> str:
    """Everything that the explorer knows of a user.

    Args:
      explored: the run.
      key: of the user.
      model: whose ranking is shown.
      shown: what the user was shown in the test split; None where nothing was.
    """
    first, count = explored.counts_of("user", key)
    is_rank = explored.description.time_is_rank
    known = [
        ("first seen", moment(first, is_rank) if first is not None else "never"),
        ("events in training", f"{count:,}" if count is not None else "-"),
        *explored.features_of("user", key).items(),
    ]
    if shown is None:
        ranking = joined(note("The test split has no impression of this user."))
    else:
        ranking = joined(
            _ranking(explored, model, shown), _inside(shown), _request(explored, key, model, shown)
        )
    return document(f"user {explored.id_of('user', key)}", facts(known), ranking, _history(explored, key))


def _ranking(explored: ExploredRun, model: str, shown: Shown) -> Markup:
    is_rank = explored.description.time_is_rank
    ranks = {
        name: np.argsort(np.argsort(-scores, kind="stable")) + 1 for name, scores in shown.scores.items()
    }
    baseline = list(ranks)[-1]
    rows = []
    for row in np.argsort(ranks[model]):
        cells = [
            joined(f"{scores[row]:.4f} ", tag("span", f"#{ranks[name][row]}", class_="where"))
            for name, scores in shown.scores.items()
        ]
        moved = int(ranks[baseline][row] - ranks[model][row])
        change = tag("span", f"{moved:+d}", class_="up" if moved > 0 else "down") if moved else "="
        stay = f"{shown.stay[row]:,.1f}" if np.isfinite(shown.stay[row]) else "-"
        reward = tag("b", "yes") if shown.reward[row] > 0 else "no"
        item = link("item", explored.id_of("item", int(shown.item[row])))
        when, degree = moment(int(shown.time[row]), is_rank), int(shown.neighbours[row])
        rows.append([item, reward, *cells, change, degree, stay, when])
    columns = ["item", explored.description.ranker.reward, *shown.scores]
    columns += ["moved", "neighbours", "stay [s]", "shown at"]
    orders = ", ".join(
        f"{name} {_pairs_in_order(scores, shown.reward)}" for name, scores in shown.scores.items()
    )
    return joined(
        tag("h2", "Ranking, with and without the graph"),
        grid(f"{len(rows)} impressions of the test split, as {model} ranks them", columns, rows),
        note(f"Moved: against {baseline}. Rewarded impressions above others, share of the pairs: {orders}."),
    )


def _pairs_in_order(scores: np.ndarray, reward: np.ndarray) -> str:
    good, bad = scores[reward > 0], scores[reward <= 0]
    if not len(good) or not len(bad):
        return "-"
    above = (good[:, np.newaxis] > bad).mean() + 0.5 * (good[:, np.newaxis] == bad).mean()
    return f"{above:.1%}"


def _inside(shown: Shown) -> Markup:
    parts = [tag("h2", "Inside the model")]
    if shown.attention:
        names = PARTS[: len(shown.attention)]
        rows = [
            [name, *(f"{weight:.3f}" for weight in row)]
            for name, row in zip(names, shown.attention, strict=True)
        ]
        parts.append(
            grid("attention, from token (row) to token, mean over these impressions", ["", *names], rows)
        )
    if shown.gate:
        parts.append(
            facts(
                (f"gate of {name}", f"{openness:.3f}")
                for name, openness in zip(PARTS, shown.gate, strict=False)
            )
        )
    if len(parts) == 1:
        parts.append(note("This model has neither gate nor attention."))
    parts.append(
        note(
            "shared: user, item and context; ltr: products of user, item and history; gnn: what the graph adds."
        )
    )
    return joined(*parts)


def _request(explored: ExploredRun, key: int, model: str, shown: Shown) -> Markup:
    request = rank_request(explored, key, shown)
    inputs = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in request["inputs"].items()
    )
    body = f'{{"signature_name": {json.dumps(request["signature_name"])}, "inputs": {{\n{inputs}\n}}}}'
    remark = (
        f"POST it to /v1/models/{model}:predict of a server with a REST port. Serving uses the newest snapshot, and one context for all "
        "candidates; scores may differ from those above."
    )
    return joined(
        tag("h2", "The request that serving would answer"),
        tag("pre", body, tabindex=0, aria_label="request"),
        note(remark),
        tag("pre", predict_command(request, model), tabindex=0, aria_label="command"),
    )


def _history(explored: ExploredRun, key: int) -> Markup:
    if explored.positive is None:
        return joined(tag("h2", "History"), note(NO_LOGS))
    events = explored.positive_rows("user", key)
    events = events[np.argsort(explored.positive.time[events], kind="stable")][::-1]
    is_rank = explored.description.time_is_rank
    rows = [
        [
            link("item", explored.id_of("item", int(explored.positive.item[row]))),
            moment(int(explored.positive.time[row]), is_rank),
        ]
        for row in events[:_MOST_EVENTS]
    ]
    again = heaviest(np.unique(explored.positive.item[events], return_counts=True), 3)
    repeated = ", ".join(f"{explored.id_of('item', item)} ({count})" for item, count in again if count > 1)
    remark = f"Items that come again most: {repeated}." if repeated else "No item comes twice."
    title = f"{len(events):,} positive events, the latest first"
    return joined(tag("h2", "History"), grid(title, ["item", "at"], rows), note(remark))
