"""A stable order of integer keys in time that grows with their number alone."""

import numba
import numpy as np

_DIGIT_BITS = 11
_BUCKETS = 1 << _DIGIT_BITS


@numba.njit(nogil=True, cache=True)
def radix_order(keys: np.ndarray) -> np.ndarray:
    """What `np.argsort(keys, kind="stable")` gives, several times as fast on a million keys.

    Digits above the largest difference of two keys are skipped, and keys that are in order cost one look.

    Args:
      keys: int64 [n].

    Returns:
      int64 [n] positions in ascending order of key, equal keys in the order in which they came.
    """
    order = np.arange(len(keys))
    if len(keys) == 0:
        return order
    least, most, in_order = keys[0], keys[0], True
    for position in range(1, len(keys)):
        in_order &= keys[position - 1] <= keys[position]
        least, most = min(least, keys[position]), max(most, keys[position])
    if in_order:
        return order
    rest = np.empty(len(keys), np.uint64)
    for position in range(len(keys)):
        rest[position] = np.uint64(keys[position]) - np.uint64(
            least
        )  # modulo 2^64: any two int64 have a difference
    span = np.uint64(most) - np.uint64(least)
    next_order, next_rest = np.empty_like(order), np.empty_like(rest)
    begin = np.empty(_BUCKETS + 1, np.int64)
    mask, shift = np.uint64(_BUCKETS - 1), np.uint64(_DIGIT_BITS)
    while span > np.uint64(0):
        begin[:] = 0
        for position in range(len(rest)):
            begin[np.int64(rest[position] & mask) + 1] += 1
        for number in range(_BUCKETS):
            begin[number + 1] += begin[number]
        for position in range(len(rest)):
            bucket = np.int64(rest[position] & mask)
            place = begin[bucket]
            begin[bucket] = place + 1
            next_order[place] = order[position]
            next_rest[place] = rest[position] >> shift
        order, next_order = next_order, order
        rest, next_rest = next_rest, rest
        span >>= shift
    return order


def sorted_unique(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `np.unique(keys, return_inverse=True)` gives, by `radix_order`.

    Args:
      keys: int64 [n].

    Returns:
      int64 [m] distinct keys, ascending; int32 [n] the position of each key among them.
    """
    order = radix_order(keys)
    ordered = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    position = np.empty(len(keys), np.int32)
    position[order] = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
    return ordered[is_first], position
