import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toy_data import DESCRIPTION
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.export.serving_features import derived_features
from tf_e2egrec.subgraphs import impressions
from tf_e2egrec.subgraphs.first_seen import FirstSeen
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock

NAMES = ["hour_of_day", "day_of_week", "item_age", "recent_count"]


def description(is_rank):
    text = DESCRIPTION.replace("[hour_of_day, item_age, recent_count]", f"[{', '.join(NAMES)}]")
    if is_rank:
        text = text.replace("unit: ms", "unit: rank").replace("refresh: 1d", "refresh: 0.1")
        text = text.replace(
            "by: time, train_until: 2024-01-03, valid_until: 2024-01-04",
            "by: user_fraction, train_until: 0.8, valid_until: 0.9",
        )
    return parse_description(text, "toy.yaml")


@pytest.mark.parametrize("is_rank", [False, True])
@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4 * 10**12), st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=20
    )
)
def test_a_request_gets_the_features_that_the_pipeline_writes(is_rank, rows):
    time, item, count = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    time = time % 10**9 if is_rank else time
    first = FirstSeen(
        np.arange(8), np.linspace(0, time.max() + 1, 8).astype(np.int64)
    )  # items 8 and 9 are unknown
    none, n = np.zeros(0, np.int64), len(time)
    block = ImpressionBlock(
        user=np.zeros(n, np.int64), item=item, time=time, impression_id=np.arange(n), reward=np.zeros(n, np.float32),
        stay=np.zeros(n, np.float32), content_duration=np.zeros(n, np.float32), history=np.arange(n),
        history_indptr=np.r_[0, np.cumsum(count)], recent=none, age=none.astype(np.float32), context={},
    )  # fmt: skip
    expected = impressions._derived_features(block, description(is_rank), first)
    seen = np.where(item < 8, first.time[np.minimum(item, 7)], -1)
    actual = derived_features(NAMES, time, seen, count.astype(np.int32), is_rank)
    for name in NAMES:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, err_msg=name)


def test_without_a_time_what_depends_on_it_is_missing():
    actual = derived_features(NAMES, np.array([-1]), np.array([5]), np.array([2], np.int32), False)
    assert actual["hour_of_day"].numpy()[0] == actual["day_of_week"].numpy()[0] == -1
    assert np.isnan(actual["item_age"].numpy()[0])
