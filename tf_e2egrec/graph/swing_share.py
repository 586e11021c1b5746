"""`SwingShare`: the histories that one item shard needs, in the form in which they travel."""

import dataclasses
from collections.abc import Iterator, Sequence

import numba
import numpy as np

from tf_e2egrec.dataset.narrow_column import pack_narrow, unpack_narrow


@dataclasses.dataclass(frozen=True)
class SwingShare:
    """Whole histories of some users; packed, integers take what their range needs: 2 to 16 bytes a row.

    Attributes:
      user: int64 [U] keys, each once.
      length: int32 [U] rows of each user.
      is_counted: bool [U]; a user is sent to several shards, and one of them counts it.
      item: int64 [n] item keys, user after user.
      time: int64 [n].
    """

    user: np.ndarray
    length: np.ndarray
    is_counted: np.ndarray
    item: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.item)

    def to_bytes(self) -> bytes:
        """Pack for a shuffle; `from_bytes` is the inverse."""
        sizes = np.array([len(self.user), len(self.item)], "<i8").tobytes()
        columns = [pack_narrow(values) for values in (self.user, self.length, self.item, self.time)]
        return b"".join([sizes, *columns, self.is_counted.tobytes()])

    @staticmethod
    def from_bytes(packed: bytes) -> "SwingShare":
        """Unpack what `to_bytes` wrote."""
        users, rows = np.frombuffer(packed, "<i8", 2).tolist()
        user, place = unpack_narrow(packed, users, 16)
        length, place = unpack_narrow(packed, users, place)
        item, place = unpack_narrow(packed, rows, place)
        time, place = unpack_narrow(packed, rows, place)
        is_counted = np.frombuffer(packed, np.bool_, users, place)
        return SwingShare(user, length.astype(np.int32), is_counted, item, time)

    @staticmethod
    def concatenate(shares: Sequence["SwingShare"]) -> "SwingShare":
        """One share out of several that have no user in common."""
        if len(shares) == 1:
            return shares[0]
        return SwingShare(
            *(
                np.concatenate([getattr(share, field.name) for share in shares])
                for field in dataclasses.fields(SwingShare)
            )
        )


def shares_of_shards(
    user: np.ndarray,
    item: np.ndarray,
    time: np.ndarray,
    shard: np.ndarray,
    is_anchor: np.ndarray,
    shards: int,
) -> Iterator[tuple[int, SwingShare]]:
    """What each shard needs: the whole histories of the users that have an anchor in it.

    Args:
      user, item, time: int64 [n], rows of a user adjacent.
      shard: int64 [n], the shard that owns the row's item.
      is_anchor: bool [n], whether the item's scores may need the user.
      shards: number of shards.

    Yields:
      (shard, share), shards that need nobody left out. The shard of a user's first anchor counts the user.
    """
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
    offsets = np.r_[starts, len(user)].astype(np.int64)
    bounds, members, is_counted = _members(offsets, shard, is_anchor, shards)
    for number in np.flatnonzero(np.diff(bounds)):
        own = slice(bounds[number], bounds[number + 1])
        rows = _rows_of(offsets, members[own])
        yield (
            int(number),
            SwingShare(
                user=user[offsets[members[own]]],
                length=np.diff(offsets)[members[own]].astype(np.int32),
                is_counted=is_counted[own],
                item=item[rows],
                time=time[rows],
            ),
        )


@numba.njit(nogil=True, cache=True)
def _members(
    offsets: np.ndarray, shard: np.ndarray, is_anchor: np.ndarray, shards: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The users of each shard.

    Returns:
      int64 [shards + 1] bounds, int64 [m] users by shard, bool [m] whether it is the user's first shard.
    """
    seen = np.full(shards, np.int64(-1))
    bounds = np.zeros(shards + 1, np.int64)
    for user in range(len(offsets) - 1):
        for row in range(offsets[user], offsets[user + 1]):
            if is_anchor[row] and seen[shard[row]] != user:
                seen[shard[row]] = user
                bounds[shard[row] + 1] += 1
    for number in range(shards):
        bounds[number + 1] += bounds[number]
    members = np.empty(bounds[shards], np.int64)
    is_first = np.zeros(bounds[shards], np.bool_)
    cursor = bounds[:-1].copy()
    seen[:] = -1
    for user in range(len(offsets) - 1):
        first = True
        for row in range(offsets[user], offsets[user + 1]):
            number = shard[row]
            if is_anchor[row] and seen[number] != user:
                seen[number] = user
                members[cursor[number]] = user
                is_first[cursor[number]] = first
                cursor[number] += 1
                first = False
    return bounds, members, is_first


@numba.njit(nogil=True, cache=True)
def _rows_of(offsets: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Row numbers of these users, int64."""
    n_rows = 0
    for user in users:
        n_rows += offsets[user + 1] - offsets[user]
    rows = np.empty(n_rows, np.int64)
    filled = 0
    for user in users:
        for row in range(offsets[user], offsets[user + 1]):
            rows[filled] = row
            filled += 1
    return rows
