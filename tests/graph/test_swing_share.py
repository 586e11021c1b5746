import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.graph.swing_share import SwingShare, shares_of_shards

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=30)


@settings(deadline=None)
@given(rows=ROWS, shards=st.integers(4, 6))
def test_a_shard_gets_whole_histories_of_the_users_with_an_anchor_in_it(rows, shards):
    rows.sort(key=lambda row: row[0])
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    user, shard, is_anchor = columns[0], columns[1], columns[2] > 0
    row = np.arange(len(rows))
    shares = dict(shares_of_shards(user, row, row + 100, shard, is_anchor, shards))
    expected = {number: {u for u, s, anchor in rows if s == number and anchor} for number in range(shards)}
    assert {number: set(share.user.tolist()) for number, share in shares.items()} == {
        number: users for number, users in expected.items() if users
    }
    counted = []
    for number, share in shares.items():
        assert share.item.tolist() == [r for r in row if user[r] in expected[number]]
        np.testing.assert_array_equal(share.time, share.item + 100)
        np.testing.assert_array_equal(np.repeat(share.user, share.length), user[share.item])
        counted += share.user[share.is_counted].tolist()
    assert sorted(counted) == sorted({u for u, _, anchor in rows if anchor})


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 4), max_size=5), parts=st.integers(1, 3))
def test_bytes_and_back(sizes, parts):
    rows = sum(sizes)
    share = SwingShare(
        np.arange(len(sizes)) - 2**62,
        np.array(sizes, np.int32),
        np.arange(len(sizes)) % 2 == 0,
        np.arange(rows) + 2**62,
        -np.arange(rows),
    )
    whole = SwingShare.concatenate([SwingShare.from_bytes(share.to_bytes())] * parts)
    for name in ("user", "length", "is_counted", "item", "time"):
        expected = np.concatenate([getattr(share, name)] * parts)
        np.testing.assert_array_equal(getattr(whole, name), expected)
        assert getattr(whole, name).dtype == expected.dtype
    assert len(whole) == rows * parts
