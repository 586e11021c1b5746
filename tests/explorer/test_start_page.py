"""What stands out: a planted bug is seen on the first page."""

import dataclasses
import re

import numpy as np

from tf_e2egrec.evaluation.leak_checks import LoggedRows
from tf_e2egrec.explorer.explored_run import ExploredRun
from tf_e2egrec.explorer.start_page import start_page


def table_of(page, caption):
    """Texts of the cells of a table, row by row."""
    body = page[page.index(f'aria-label="{caption}"') :].split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body)
    return [
        [re.sub("<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def test_a_crawler_stands_out(run, explored):
    bot, items = 424_242, explored.items.key
    logged = explored.positive
    rows = LoggedRows(
        user=np.r_[logged.user, np.full(len(items), bot)],
        item=np.r_[logged.item, items],
        time=np.r_[logged.time, np.full(len(items), logged.time.min())],
    )
    page = start_page(ExploredRun(run, rows), [])
    first, second = table_of(page, "users with most positive events")[:2]
    assert first == [str(bot), f"{len(items):,}", f"{len(items) / len(rows.user):.2%}"]
    assert int(second[1]) < len(items) / 2


def test_a_table_that_does_not_fit_the_log_stands_out(run, explored):
    looked_at = ExploredRun(run, explored.positive)
    features = looked_at.items.features | {"category": np.full(len(looked_at.items), -1)}
    looked_at.items = dataclasses.replace(looked_at.items, features=features)
    missing = {row[0]: row[2] for row in table_of(start_page(looked_at, []), "features that are missing")}
    assert missing["category"] == "100.0%"
    assert missing["author"] == "0.0%"


def test_edges_are_sorted_by_weight(explored):
    rows = table_of(start_page(explored, []), "heaviest edges of the latest snapshot")
    weights = [float(row[2]) for row in rows]
    assert weights == sorted(weights, reverse=True)
    assert all(int(row[3]) >= 2 for row in rows)
