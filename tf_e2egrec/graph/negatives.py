"""Drawing negatives: items of a pool that the user has never engaged with."""

import numba
import numpy as np

from tf_e2egrec.dataset.ids import mix64
from tf_e2egrec.graph.pool_table import PoolTable

MAX_ATTEMPTS = 32  # per negative; a user who knows nearly every item of the pool gets fewer negatives
_UINT64_MASK = 0xFFFFFFFFFFFFFFFF

Array = np.ndarray


def draw_negatives(
    pools: PoolTable,
    impression_id: Array,
    time: Array,
    user_row: Array,
    known_indptr: Array,
    known_items: Array,
    per_positive: int,
    seed: int,
) -> tuple[Array, int]:
    """Draw negatives for positives, by hash(seed, impression, draw, attempt).

    A drawn item is rejected, and drawn again up to `MAX_ATTEMPTS` times, when the user knows it or when it is already a negative of
    the same impression.

    Args:
      pools: the pool of a positive is that of its time bucket.
      impression_id: int64 [n] of the positives.
      time: int64 [n].
      user_row: int64 [n] row of the positive's user in the lists of known items.
      known_indptr: int64 [u + 1].
      known_items: int64 [m] items each user has any row with, ascending within the user.
      per_positive: negatives per positive.
      seed: any integer.

    Returns:
      (int64 [n, per_positive] item keys, -1 where none was found; number of rejected draws).
    """
    start, end = pools.ranges(time)
    out = np.full((len(time), per_positive), -1, np.int64)
    state = np.uint64(mix64(np.uint64(seed & _UINT64_MASK)))
    rejected = _draw(pools.items, start, end, impression_id, user_row, known_indptr, known_items, state, out)
    return out, int(rejected)


@numba.njit(cache=True, nogil=True)
def _draw(
    pool: Array, start: Array, end: Array, impression_id: Array, user_row: Array, known_indptr: Array, known_items: Array,
    state: np.uint64, out: Array,
) -> int:  # fmt: skip
    rejected = 0
    for i in range(len(start)):
        size = np.uint64(end[i] - start[i])
        if size == 0:
            continue
        known = known_items[known_indptr[user_row[i]] : known_indptr[user_row[i] + 1]]
        base = mix64(state ^ mix64(np.uint64(impression_id[i])))
        for draw in range(out.shape[1]):
            for attempt in range(MAX_ATTEMPTS):
                hashed = mix64(base ^ mix64(np.uint64(draw * MAX_ATTEMPTS + attempt)))
                item = pool[start[i] + np.int64(hashed % size)]
                place = np.searchsorted(known, item)
                refused = place < len(known) and known[place] == item
                for other in range(draw):
                    refused = refused or out[i, other] == item
                if not refused:
                    out[i, draw] = item
                    break
                rejected += 1
    return rejected
