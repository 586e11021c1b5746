import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.assemble import assemble_users, no_events
from tf_e2egrec.dataset.events import RANKER_ROW, EventBlock
from tf_e2egrec.dataset.time_axis import RANK_SCALE

_LOGS = [
    {"stay": {"gap_to_next": True, "session": "s", "drop_exactly": 0.3, "maximum": 0.5}},
    {"stay": {"gap_to_next": True, "maximum": 100}},
    {"stay": {"column": "stay"}, "context": [{"name": "price", "type": "numeric"}]},
]
_SECOND_LOG = 1 << 59
_SESSIONS = [-1, 0, 1, _SECOND_LOG]

# user, time in 100 ms, session, role, stay
_ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 12),
        st.sampled_from(_SESSIONS),
        st.integers(0, 3),
        st.sampled_from([1.0, np.nan]),
    ),
    max_size=30,
)


def _events(description, rows):
    block = no_events(description)
    if not rows:
        return block
    user, time, session, role, stay = (np.array(column) for column in zip(*rows, strict=True))
    # A log's label is a column or a gap, never both.
    stay = np.where(session == -1, stay, np.nan).astype(np.float32)
    missing = np.full(len(rows), np.nan, np.float32)
    return EventBlock(
        user,
        user,
        time * 100,
        role.astype(np.uint32),
        role.astype(np.uint8),
        stay,
        missing,
        session,
        {"price": missing},
    )


def _gap(rows, index):
    """The label by definition: seconds to the user's next event of the session."""
    user, time, session, role, stay = rows[index]
    later = [row[1] for i, row in enumerate(rows) if row[0] == user and row[2] == session and i > index]
    if session == -1:
        return stay
    if not role & RANKER_ROW or not later or (session < _SECOND_LOG and later[0] - time == 3):
        return np.nan
    return min((later[0] - time) / 10, 0.5 if session < _SECOND_LOG else 100)


@given(_ROWS)
def test_gaps_are_those_to_the_next_event_of_the_session(describe, rows):
    description = describe(logs=_LOGS)
    counters = {}
    events = assemble_users([_events(description, rows)], description, counters)
    distinct = {tuple(map(str, row if row[2] == -1 else (*row[:4], "nan"))): row for row in rows}
    # The order of `EventBlock.sorted`: user, time, item (here the user), behaviours and role, stay, session.
    ordered = sorted(distinct.values(), key=lambda row: (row[0], row[1], row[3], _nan_last(row), row[2]))
    expected = [(row[0], row[1] * 100, _gap(ordered, i)) for i, row in enumerate(ordered) if row[3] > 0]
    assert counters.get("duplicate_rows", 0) == len(rows) - len(distinct)
    assert events.user.tolist() == [row[0] for row in expected]
    assert events.time.tolist() == [row[1] for row in expected]
    np.testing.assert_array_equal(events.stay, np.array([row[2] for row in expected], np.float32))


def _nan_last(row):
    return row[4] if row[2] == -1 and not np.isnan(row[4]) else np.inf


@given(_ROWS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_neither_the_order_of_rows_nor_their_blocks_matter(describe, rows, random, blocks):
    description = describe(logs=_LOGS)
    expected = assemble_users([_events(description, rows)], description)
    shuffled = list(rows)
    random.shuffle(shuffled)
    parts = [_events(description, shuffled[i::blocks]) for i in range(blocks)]
    actual = assemble_users(parts, description)
    assert actual.to_bytes() == expected.to_bytes()


@given(rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=20, unique=True))
def test_ranks_become_pseudo_time(describe, rows):
    description = describe(log={"time": {"column": "time", "unit": "rank"}})
    block = no_events(description)
    if rows:
        user, rank = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        n = len(rows)
        block = EventBlock(
            user=user,
            item=rank,
            time=rank,
            behaviours=np.ones(n, np.uint32),
            role=np.full(n, 3, np.uint8),
            stay=np.full(n, np.nan, np.float32),
            content_duration=np.full(n, np.nan, np.float32),
            session=np.full(n, -1),
        )
    events = assemble_users([block], description)
    assert ((events.time >= 0) & (events.time < RANK_SCALE)).all()
    for user in np.unique(events.user):
        time = events.time[events.user == user]
        np.testing.assert_array_equal(time, np.arange(len(time)) * RANK_SCALE // len(time))


def test_a_gap_of_the_dropped_length_may_be_off_by_half_a_millisecond(describe):
    log = {"stay": {"gap_to_next": True, "drop_exactly": 29.9997}}
    description = describe(log=log)
    base = dataclasses.replace(no_events(description), context={})
    n = 3
    rows = EventBlock(
        **{
            name: np.zeros(n, getattr(base, name).dtype)
            for name in ("user", "item", "behaviours", "content_duration")
        },
        time=np.array([0, 30_000, 60_001]),
        role=np.full(n, 3, np.uint8),
        stay=np.full(n, np.nan, np.float32),
        session=np.zeros(n, np.int64),
    )
    np.testing.assert_allclose(assemble_users([rows], description).stay, [np.nan, 30.001, np.nan], rtol=1e-6)


def test_no_blocks_at_all(describe):
    description = describe(logs=_LOGS)
    events = assemble_users([], description)
    assert len(events) == 0
    assert events.context.keys() == {"price"}


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_no_events_has_the_types_of_canonical_blocks(describe, kind):
    block = no_events(describe(log={"context": [{"name": "c", "type": kind}]}))
    assert block.context["c"].dtype == (np.float32 if kind == "numeric" else np.int64)
