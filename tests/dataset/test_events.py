import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tf_e2egrec.dataset.events import EventBlock


@st.composite
def event_blocks(draw, rows=None):
    """Blocks with few distinct values, so that ties are frequent."""
    n = draw(st.integers(0, 12)) if rows is None else rows

    def column(dtype, values):
        return draw(hnp.arrays(dtype, n, elements=values))

    seconds = st.sampled_from([0.0, 1.5, float("nan")])
    return EventBlock(
        user=column(np.int64, st.integers(0, 2)),
        item=column(np.int64, st.integers(0, 2)),
        time=column(np.int64, st.integers(0, 3)),
        behaviours=column(np.uint32, st.integers(0, 3)),
        role=column(np.uint8, st.integers(0, 3)),
        stay=column(np.float32, seconds),
        content_duration=column(np.float32, seconds),
        session=column(np.int64, st.integers(-1, 1)),
        context={"device": column(np.int64, st.integers(-1, 1)), "price": column(np.float32, seconds)},
    )


def columns_of(block):
    fields = {f.name: getattr(block, f.name) for f in dataclasses.fields(block) if f.name != "context"}
    return {**fields, **{f"context/{name}": values for name, values in block.context.items()}}


def assert_same(actual, expected):
    actual, expected = columns_of(actual), columns_of(expected)
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        assert actual[name].dtype == values.dtype
        np.testing.assert_array_equal(actual[name], values, err_msg=name)


@given(event_blocks())
def test_bytes_hold_the_whole_block(block):
    assert_same(EventBlock.from_bytes(block.to_bytes()), block)


@given(event_blocks(rows=9), st.permutations(range(9)))
def test_sorting_does_not_depend_on_the_order_of_arrival(block, permutation):
    assert_same(block.take(np.array(permutation)).sorted(), block.sorted())


@given(event_blocks())
def test_rows_are_sorted_by_user_then_time_then_item(block):
    ordered = block.sorted()
    rows = list(zip(ordered.user, ordered.time, ordered.item, ordered.behaviours, strict=True))
    assert rows == sorted(rows)


@given(st.lists(event_blocks(), min_size=1, max_size=3))
def test_concatenate_keeps_every_row_in_order(blocks):
    whole = EventBlock.concatenate(blocks)
    assert len(whole) == sum(len(block) for block in blocks)
    start = 0
    for block in blocks:
        assert_same(whole.take(np.arange(start, start + len(block))), block)
        start += len(block)


@given(event_blocks(rows=1))
def test_bytes_per_row(block):
    assert block.bytes_per_row == 3 * 8 + 4 + 1 + 2 * 4 + 8 + 8 + 4
