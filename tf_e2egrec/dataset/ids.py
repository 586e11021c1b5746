"""Ids as int64 keys, and random numbers as hashes of keys.

Everything downstream of the logs speaks in int64 keys: integer ids stay as they are, strings become
  ``FarmHash64(s) mod 2**59``, which
TensorFlow computes inside a graph too (`tf.strings.to_hash_bucket_fast`), so serving needs no dictionary.
"""

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf_e2egrec.errors import E2EGRecError

MISSING_KEY = -1
KEY_BITS = 59
KEY_SPACE = 1 << KEY_BITS
MAX_DOMAINS = 16

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / (1 << 52)  # with 53 bits, adding 0.5 would round the largest hash up to 1


@numba.njit(cache=True, inline="always")
def mix64(value: np.uint64) -> np.uint64:
    """Splitmix64's finaliser: a bijection of uint64 whose output bits look independent of the input's."""
    z = np.uint64(value) + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@numba.vectorize([numba.uint64(numba.uint64, numba.uint64)], cache=True)
def combine_hash(state: np.uint64, key: np.uint64) -> np.uint64:
    """Fold `key` into the hash `state`; element-wise on arrays."""
    return mix64(state ^ mix64(key))


@numba.njit(cache=True, inline="always")
def unit_interval(hashed: np.uint64) -> float:
    """Map a 64-bit hash to a float64 in the open interval (0, 1)."""
    return (np.float64(hashed >> np.uint64(12)) + 0.5) * _TO_UNIT


def hash_keys(seed: int, *keys: np.ndarray | int) -> np.ndarray:
    """Hash the seed and any number of int64 arrays (broadcast against one another) to uint64.

    Args:
      seed: int, any value.
      *keys: int64 arrays or integers; the order matters.

    Returns:
      uint64 array of the broadcast shape.
    """
    state: np.ndarray = np.asarray(mix64(np.uint64(seed & 0xFFFFFFFFFFFFFFFF)), dtype=np.uint64)
    for key in keys:
        state = combine_hash(state, np.asarray(key, dtype=np.int64).view(np.uint64))
    return state


def hash_uniform(seed: int, *keys: np.ndarray | int) -> np.ndarray:
    """Uniform float64 in (0, 1) that depend on the seed and the keys alone (see `hash_keys`)."""
    return ((hash_keys(seed, *keys) >> np.uint64(12)).astype(np.float64) + 0.5) * _TO_UNIT


def string_keys(values: np.ndarray) -> np.ndarray:
    """FarmHash64 of UTF-8 strings modulo 2**59, identical to `tf.strings.to_hash_bucket_fast(values, 2**59)`.

    TensorFlow is imported at the first call: only data with string ids needs it.
    """
    import tensorflow as tf  # noqa: PLC0415

    with tf.device("/CPU:0"):
        return tf.strings.to_hash_bucket_fast(tf.constant(values, dtype=tf.string), KEY_SPACE).numpy()


def keys_from_column(column: pa.ChunkedArray | pa.Array, name: str) -> np.ndarray:
    """Turn an id or category column into int64 keys; nulls and empty strings become `MISSING_KEY`.

    Args:
      column: integer, boolean or string column; floats are accepted when every value is a whole number.
      name: the column's name, for the error message.

    Returns:
      int64 [n].

    Raises:
      E2EGRecError: the column's type cannot be an id, or an integer is negative or needs more than 59 bits.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return keys_from_column(column.cast(kind.value_type), name)
    if pa.types.is_floating(kind):
        column = _whole_numbers(column, name)
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        bounds = (
            []
            if pa.types.is_boolean(kind)
            else [bound for bound in pc.min_max(column).as_py().values() if bound is not None]
        )
        for bound in bounds:
            if not MISSING_KEY <= bound < KEY_SPACE:
                raise E2EGRecError(
                    f"column `{name}` holds the id {bound}: integer ids must lie between 0 and 2^59 - 1; store it as a string instead"
                )
        return np.asarray(pc.fill_null(pc.cast(column, pa.int64()), MISSING_KEY))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.fill_null(column, "").to_numpy(zero_copy_only=False)
        keys = string_keys(text.astype(object)) if len(text) else np.zeros(0, np.int64)
        return np.where(text == "", np.int64(MISSING_KEY), keys)
    raise E2EGRecError(f"column `{name}` has type {kind}, which cannot be an id; use integers or strings")


def _whole_numbers(column: pa.Array, name: str) -> pa.Array:
    finite = pc.is_finite(column)
    column = pc.if_else(finite, column, pa.scalar(None, column.type))
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        raise E2EGRecError(
            f"column `{name}` holds fractional numbers, which cannot be ids; use integers or strings"
        ) from None


def domain_keys(keys: np.ndarray, domain: int) -> np.ndarray:
    """Put the domain's number into the bits above `KEY_BITS`; missing keys stay missing, domain 0 changes
    nothing.
    """
    return np.where(keys == MISSING_KEY, keys, keys | np.int64(domain << KEY_BITS))
