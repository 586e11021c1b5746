import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.assemble import no_events
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW
from tf_e2egrec.dataset.split import NOT_AN_IMPRESSION, labels_begin, split_codes, training_ends
from tf_e2egrec.dataset.time_axis import FOREVER, MS_PER_DAY, RANK_SCALE

_DAY_0 = 19_844 * MS_PER_DAY  # 2024-05-01
_RANK = {"time": {"column": "time", "unit": "rank"}}


def _events(description, rows):
    """Events of (user, time, role), in the order of `EventBlock.sorted`."""
    user, time, role = (np.array([row[i] for row in sorted(rows)], np.int64) for i in range(3))
    block = no_events(description)
    return dataclasses.replace(block, user=user, item=user, time=time, role=role.astype(np.uint8))


def test_split_by_time(describe):
    days = {
        name: f"2024-05-{day:02}"
        for name, day in {"labels_from": 2, "train_until": 4, "valid_until": 5, "test_until": 6}.items()
    }
    description = describe(split={"by": "time", **days})
    rows = [(1, _DAY_0 + d * MS_PER_DAY + offset, 3) for d in range(6) for offset in (0, MS_PER_DAY - 1)]
    expected = [-1, -1, 0, 0, 0, 0, 1, 1, 2, 2, -1, -1]
    assert split_codes(_events(description, rows), description).tolist() == expected
    assert training_ends(description) == _DAY_0 + 3 * MS_PER_DAY
    assert labels_begin(description) == _DAY_0 + MS_PER_DAY


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.sampled_from([1, 2, 3])), max_size=40)
)
def test_split_by_user_fraction_counts_the_users_own_ranker_rows(describe, rows):
    description = describe(split={"labels_from": 0.2, "train_until": 0.6, "valid_until": 0.8})
    rows = sorted(rows)
    codes = split_codes(_events(description, rows), description)
    for index, (user, _, role) in enumerate(rows):
        if not role & RANKER_ROW:
            assert codes[index] == NOT_AN_IMPRESSION
            continue
        own = [i for i, row in enumerate(rows) if row[0] == user and row[2] & RANKER_ROW]
        share = own.index(index) / len(own)
        assert codes[index] == (-1 if share < 0.2 else 0 if share < 0.6 else 1 if share < 0.8 else 2)


def test_graph_rows_are_no_impressions(describe):
    description = describe()
    codes = split_codes(_events(description, [(1, 0, GRAPH_ROW), (1, 1, RANKER_ROW)]), description)
    assert codes.tolist() == [NOT_AN_IMPRESSION, 0]


def test_bounds_of_ranks_and_fractions(describe):
    rank = describe(log=_RANK, split={"labels_from": 0.1})
    assert training_ends(rank) == pytest.approx(0.8 * RANK_SCALE)
    assert labels_begin(rank) == RANK_SCALE // 10
    assert training_ends(describe()) == np.inf
    assert labels_begin(describe()) == -FOREVER
