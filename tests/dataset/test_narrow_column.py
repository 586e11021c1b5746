"""`narrow_column`: what goes in comes out, in as few bytes as the range allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tf_e2egrec.dataset.narrow_column import pack_narrow, unpack_narrow

_HEADER = 16


@given(hnp.arrays(np.int64, st.integers(0, 40)), st.binary(max_size=16).map(lambda b: b.ljust(16)[:8]))
def test_round_trip_at_any_place(values, before):
    packed = before + pack_narrow(values) + pack_narrow(values[::-1])
    first, place = unpack_narrow(packed, len(values), len(before))
    second, end = unpack_narrow(packed, len(values), place)
    np.testing.assert_array_equal(first, values)
    np.testing.assert_array_equal(second, values[::-1])
    assert end == len(packed) and first.flags.writeable


@pytest.mark.parametrize(
    ("span", "width"), [(0, 1), (255, 1), (256, 2), (65535, 2), (65536, 4), (2**32 - 1, 4), (2**32, 8)]
)
@pytest.mark.parametrize("least", [-(2**60), 0, 2**60])
def test_width_follows_the_range(span, width, least):
    values = np.array([least, least + span] * 8)
    assert len(pack_narrow(values)) == _HEADER + 16 * width


def test_the_whole_range_of_int64():
    values = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0])
    np.testing.assert_array_equal(unpack_narrow(pack_narrow(values), 3)[0], values)
