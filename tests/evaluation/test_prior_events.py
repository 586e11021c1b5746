import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.evaluation.prior_events import PriorEvents

KEYS = st.sampled_from([-1, 0, 3, 2**62])
TIMES = st.sampled_from([-5, 0, 1, 2, 10**12, 2**60])
PAIRS = st.lists(st.tuples(KEYS, TIMES), max_size=30)


@settings(max_examples=200, deadline=None)
@given(PAIRS, PAIRS)
def test_counts_and_first_times_equal_brute_force(events, asked):
    key, time = (np.array([pair[place] for pair in events], np.int64) for place in (0, 1))
    asked_key, asked_time = (np.array([pair[place] for pair in asked], np.int64) for place in (0, 1))
    prior = PriorEvents(key, time)
    count, first = prior.count(asked_key, asked_time), prior.first(asked_key)
    assert count.dtype == first.dtype == np.int64
    assert count.tolist() == [sum(k == one and t < at for k, t in events) for one, at in asked]
    assert first.tolist() == [min((t for k, t in events if k == one), default=FOREVER) for one, _ in asked]
