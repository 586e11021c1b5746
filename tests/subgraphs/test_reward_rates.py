"""`reward_rates` against a loop over the user's past."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.subgraphs.reward_rates import reward_rates

ROW = st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans(), st.booleans())


def expected(rows, index, last):
    user, time, _, _ = rows[index]
    past = [rewarded for u, t, shown, rewarded in rows if u == user and t < time and shown]
    past = past[-last:] if last else past
    return (sum(past) + 1) / (len(past) + 2)


@given(st.lists(ROW, max_size=30), st.sampled_from([None, 1, 2, 5]))
def test_equals_a_loop(rows, last):
    rows = sorted(rows, key=lambda row: row[:2])
    columns = np.array(rows).reshape(-1, 4)
    wanted = np.arange(len(rows))[::2]
    found = reward_rates(columns[:, 0], columns[:, 1], columns[:, 2] > 0, columns[:, 3] > 0, wanted, last)
    np.testing.assert_allclose(found, [expected(rows, i, last) for i in wanted], rtol=1e-6)


def test_rows_of_the_same_moment_do_not_see_each_other():
    user, time = np.zeros(4, np.int64), np.array([1, 2, 2, 3])
    yes = np.ones(4, bool)
    np.testing.assert_allclose(
        reward_rates(user, time, yes, yes, np.arange(4)), [1 / 2, 2 / 3, 2 / 3, 4 / 5], rtol=1e-6
    )
