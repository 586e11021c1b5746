import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW
from tf_e2egrec.dataset.ids import hash_uniform
from tf_e2egrec.dataset.row_selection import filters_of, row_roles

BOTH = RANKER_ROW | GRAPH_ROW
TABLE = pa.table({"tab": [1, 2, 1, 2]})
USER, ITEM = np.array([0, 1, 2, 3]), np.array([9, 8, 7, 6])


def _roles(description, log=0):
    role, kept = row_roles(TABLE, USER, ITEM, description.interactions[log], description)
    return role.tolist(), kept.tolist()


def test_equal_regime_gives_the_graph_the_rankers_rows(describe):
    description = describe(ranker={"rows": [{"column": "tab", "in": [1]}]})
    assert _roles(description) == ([BOTH, 0, BOTH, 0], [True, False, True, False])
    assert filters_of(description.interactions[0], description).keys() == {"ranker.rows.0"}


def test_cross_domain_regime_filters_each_side(describe):
    rows = [{"column": "tab", "in": [2]}, {"users_share": 0.9}]
    description = describe(
        ranker={"rows": rows}, graph={"regime": "cross-domain", "rows": [{"items_share": 0.5}]}, seed=5
    )
    ranker = (np.array([1, 2, 1, 2]) == 2) & (hash_uniform(5, USER) < 0.9)
    graph = hash_uniform(5, ITEM) < 0.5
    assert 0 < graph.sum() < 4
    assert _roles(description)[0] == (RANKER_ROW * ranker + GRAPH_ROW * graph).tolist()
    assert list(filters_of(description.interactions[0], description)) == [
        "ranker.rows.0",
        "ranker.rows.1",
        "graph.rows.0",
    ]


def test_a_log_feeds_only_what_it_says(describe):
    logs = [{"domain": "video", "feeds": "ranker"}, {"domain": "goods", "feeds": "graph"}]
    description = describe(logs=logs, graph={"regime": "cross-domain"})
    assert _roles(description, 0)[0] == [RANKER_ROW] * 4
    assert _roles(description, 1)[0] == [GRAPH_ROW] * 4


def test_domain_filter(describe):
    logs = [{"domain": "video"}, {"domain": "goods"}]
    description = describe(
        logs=logs, ranker={"rows": [{"domain": "video"}]}, graph={"regime": "cross-domain"}
    )
    assert _roles(description, 0)[0] == [BOTH] * 4
    assert _roles(description, 1)[0] == [GRAPH_ROW] * 4


def test_gaps_keep_the_other_rows_of_the_rankers_users(describe):
    rows = [{"column": "tab", "in": [1]}, {"users_share": 0.7}]
    description = describe(log={"stay": {"gap_to_next": True}}, ranker={"rows": rows})
    role, kept = _roles(description)
    chosen = hash_uniform(0, USER) < 0.7
    assert 0 < chosen.sum() < 4
    assert kept == chosen.tolist()
    assert role == (BOTH * (chosen & (np.array([1, 2, 1, 2]) == 1))).tolist()


def test_shares_nest(describe):
    users = np.arange(20_000)
    few, many = hash_uniform(0, users) < 0.1, hash_uniform(0, users) < 0.3
    assert not (few & ~many).any()
    assert abs(few.mean() - 0.1) < 0.01
