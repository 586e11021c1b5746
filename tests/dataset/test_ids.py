import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.ids import (
    KEY_BITS,
    KEY_SPACE,
    domain_keys,
    hash_keys,
    hash_uniform,
    keys_from_column,
    string_keys,
    unit_interval,
)
from tf_e2egrec.errors import E2EGRecError

_KEYS = st.integers(-(2**63), 2**63 - 1)
_MASK = 2**64 - 1


def _mix64(value):
    z = (value + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


@given(_KEYS, st.lists(_KEYS, max_size=3))
def test_hash_keys_is_splitmix64_folded(seed, keys):
    expected = _mix64(seed & _MASK)
    for key in keys:
        expected = _mix64(expected ^ _mix64(key & _MASK))
    assert int(hash_keys(seed, *keys)) == expected


def test_hash_keys_broadcasts_and_depends_on_the_order():
    users, items = np.arange(4)[:, None], np.arange(3)
    table = hash_keys(7, users, items)
    assert table.shape == (4, 3)
    assert len(np.unique(table)) == 12
    assert table[1, 2] == hash_keys(7, 1, 2) != hash_keys(7, 2, 1)


def test_hash_uniform_is_uniform_and_never_reaches_its_ends():
    u = np.sort(hash_uniform(3, np.arange(100_000)))
    assert u.min() > 0
    assert u.max() < 1
    assert np.abs(u - np.linspace(0, 1, len(u))).max() < 0.006  # Kolmogorov-Smirnov at 0.1 %
    assert 0 < unit_interval(np.uint64(0)) < unit_interval(np.uint64(_MASK)) < 1


def test_neighbouring_seeds_give_independent_numbers():
    first, second = hash_uniform(0, np.arange(50_000)), hash_uniform(1, np.arange(50_000))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_string_keys_are_the_hashes_tensorflow_computes_in_a_graph():
    import tensorflow as tf

    texts = np.array(["a", "user-17", "Ünï", "x" * 300], dtype=object)
    expected = tf.strings.to_hash_bucket_fast(texts.tolist(), KEY_SPACE).numpy()
    np.testing.assert_array_equal(string_keys(texts), expected)
    assert expected.max() < KEY_SPACE


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3, None, 0], pa.int8()), [3, -1, 0]),
        (pa.array([2**59 - 1], pa.uint64()), [2**59 - 1]),
        (pa.array([True, False, None]), [1, 0, -1]),
        (pa.array([5.0, None, float("nan"), float("inf")]), [5, -1, -1, -1]),
        (pa.array([7, 7, None]).dictionary_encode(), [7, 7, -1]),
        (pa.chunked_array([[1], [2, 3]]), [1, 2, 3]),
        (pa.array([], pa.string()), []),
    ],
)
def test_integers_are_their_own_keys(column, expected):
    keys = keys_from_column(column, "id")
    assert keys.dtype == np.int64
    assert keys.tolist() == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_strings_are_hashed_and_empty_ones_are_missing(kind):
    keys = keys_from_column(pa.array(["a", "", None, "a", "12"], kind), "id")
    assert keys[0] == keys[3] == string_keys(np.array(["a"], object))[0]
    assert keys[[1, 2]].tolist() == [-1, -1]
    assert keys[4] != 12


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([-2]), "holds the id -2"),
        (pa.array([2**64 - 1], pa.uint64()), "holds the id 18446744073709551615"),
        (pa.array([2**59]), "2\\^59"),
        (pa.array([1.5]), "fractional"),
        (pa.array([[1]]), "cannot be an id"),
    ],
)
def test_what_cannot_be_an_id_is_refused(column, said):
    with pytest.raises(E2EGRecError, match=f"column `id`.*{said}"):
        keys_from_column(column, "id")


@given(st.lists(st.integers(-1, KEY_SPACE - 1), max_size=20), st.integers(0, 15))
def test_domain_keys_can_be_taken_apart(keys, domain):
    keys = np.array(keys, np.int64)
    together = domain_keys(keys, domain)
    present = keys >= 0
    assert (together[~present] == -1).all()
    np.testing.assert_array_equal(together[present] & (KEY_SPACE - 1), keys[present])
    np.testing.assert_array_equal(together[present] >> KEY_BITS, domain)
