import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tf_e2egrec.dataset.radix_order import radix_order, sorted_unique

KEYS = st.one_of(
    hnp.arrays(np.int64, st.integers(0, 60)),
    hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(-3, 5000)),
)


@settings(deadline=None)  # compiles
@given(keys=KEYS)
def test_is_the_stable_order(keys):
    np.testing.assert_array_equal(radix_order(keys), np.argsort(keys, kind="stable"))


@settings(deadline=None)  # compiles
@given(keys=KEYS)
def test_sorted_unique_is_that_of_numpy(keys):
    expected = np.unique(keys, return_inverse=True)
    found = sorted_unique(keys)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1].dtype == np.int32


@pytest.mark.parametrize("low", [0, -(2**63)])
def test_many_keys(low):
    keys = np.random.default_rng(0).integers(low, 2**63 - 1, 20_000) >> 20
    np.testing.assert_array_equal(radix_order(keys), np.argsort(keys, kind="stable"))
