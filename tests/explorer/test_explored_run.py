"""What is shown of items and users, against the logs read by pandas."""

import numpy as np
import pandas as pd
import pytest

from tests.cli.job import read_logs
from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.explorer.explored_run import ExploredRun, heaviest


@pytest.fixture(scope="module")
def clicks(data):
    log = read_logs(data).to_pandas()
    return log[log.is_click > 0]


@pytest.fixture(scope="module")
def item(explored):
    """The item with most neighbours in the latest snapshot."""
    table = explored.table(explored.snapshots[-1])
    return int(table.items[np.argmax(np.diff(table.indptr))])


def test_co_users_are_those_who_clicked_both(explored, clicks, item):
    for snapshot in explored.snapshots[-2:]:
        start, end = explored.plan.window_of(snapshot)
        seen = clicks[(clicks.time_ms >= start) & (clicks.time_ms < end)]
        neighbours = explored.neighbours(item, snapshot)
        assert neighbours
        for one in neighbours:
            expected = set(seen.user_id[seen.video_id == item]) & set(seen.user_id[seen.video_id == one.item])
            assert one.co_users.tolist() == sorted(expected)
            assert len(expected) >= 2  # what Swing asks for


def test_shares_are_those_of_the_sampling(explored, item):
    neighbours = explored.neighbours(item, explored.snapshots[-1])
    weights = np.array([one.weight for one in neighbours])
    expected = weights**explored.description.graph.sampling.beta
    assert [one.share for one in neighbours] == pytest.approx((expected / expected.sum()).tolist())
    assert (np.diff(weights) <= 0).all()
    assert len(neighbours) <= explored.description.graph.sampling.top


def test_rows_of_a_user(explored, clicks):
    user = int(clicks.user_id.value_counts().index[0])
    rows = explored.positive_rows("user", user)
    assert sorted(explored.positive.item[rows]) == sorted(clicks.video_id[clicks.user_id == user])
    assert len(explored.positive_rows("user", -5)) == 0


def test_features_in_words(explored, data):
    video = pd.read_parquet(data / "videos.parquet").iloc[0]
    shown = explored.features_of("item", int(video.video_id))
    assert shown["category"] == str(video.category)
    assert shown["tags"] == ", ".join(map(str, video.tags)) or shown["tags"] == "missing"
    assert shown["duration_s"] == f"{video.duration_s:,.4g}"
    assert shown["content"].count(",") == 4
    assert explored.features_of("item", 5) == {}


def test_ids(explored):
    key = int(explored.items.key[3])
    assert explored.key_of("item", f" {explored.id_of('item', key)} ") == key
    assert explored.key_of("item", "nothing") is None
    assert explored.id_of("user", 999_999) == "999999"


def test_missing_shares(explored):
    shares = explored.missing_shares("item")
    assert set(shares) == {"category", "author", "tags", "duration_s", "content"}
    tags = explored.items.features["tags"]
    assert shares["tags"] == pytest.approx((tags == -1).all(axis=1).mean())


def test_without_logs_it_says_that_it_does_not_know(run, item):
    blind = ExploredRun(run)
    assert all(one.co_users is None for one in blind.neighbours(item, blind.snapshots[-1]))
    assert len(blind.positive_rows("item", item)) == 0


def test_heaviest():
    assert heaviest((np.array([1, 2, 3]), np.array([5, 7, 5])), 2) == [(2, 7), (1, 5)]
    assert heaviest({}, 2) == []


def test_text_ids_that_no_table_names_are_found_by_their_hash(run):
    looked_at = ExploredRun(run)
    key = int(string_keys(np.array(["u-1"]))[0])
    looked_at.users, looked_at.strings = NodeTable(np.array([key]), np.array([str(key)])), frozenset({"user"})
    assert looked_at.key_of("user", "u-1") == key
    assert looked_at.key_of("user", "u-2") is None
