"""`EpochOrder`: in which order an epoch takes the impressions, from any position on."""

import dataclasses
import functools

import numpy as np

from tf_e2egrec.dataset.ids import hash_keys

_BLOCK = 256  # rows that stand one after the other in a file
_WINDOW = 256  # blocks


@dataclasses.dataclass(frozen=True)
class EpochOrder:
    """A permutation of rows that is a function of its seed; a position in it is found without those before.

    Blocks of 256 rows are shuffled among one another, then the rows of each 256 blocks: 65,536 rows that stand in few places of the
    files, which matters where the files do not fit into memory. Fewer rows than that are shuffled as a whole.

    Attributes:
      rows: how many there are.
      seed: of the shuffle; None leaves the rows in their order.

    Example:
      >>> order = EpochOrder(rows=5, seed=1)
      >>> whole = order.take(0, 5)
      >>> sorted(whole.tolist()), order.take(3, 5).tolist() == whole[3:].tolist()
      ([0, 1, 2, 3, 4], True)
    """

    rows: int
    seed: int | None

    def take(self, start: int, stop: int) -> np.ndarray:
        """The rows at the positions [start, stop) of the epoch; int64."""
        stop = min(stop, self.rows)
        if self.seed is None:
            return np.arange(start, stop, dtype=np.int64)
        parts = [np.zeros(0, np.int64)]
        window = start // (_BLOCK * _WINDOW)
        while start < stop:
            first, rows = _window(self.rows, self.seed, window)
            parts.append(rows[start - first : stop - first])
            start = max(start, min(stop, first + len(rows)))
            window += 1
        return np.concatenate(parts)


@functools.lru_cache(maxsize=4)
def _window(rows: int, seed: int, number: int) -> tuple[int, np.ndarray]:
    """(position of the first row, the rows in their order) of a window."""
    blocks = _blocks(rows, seed)
    # The block at the end of the files has fewer rows than others: what comes behind it is that much nearer.
    missing = len(blocks) * _BLOCK - rows
    short = int(np.flatnonzero(blocks == len(blocks) - 1)[0])
    ours = blocks[number * _WINDOW : (number + 1) * _WINDOW]
    found = (ours[:, np.newaxis] * _BLOCK + np.arange(_BLOCK)).ravel()
    found = found[found < rows]
    order = np.argsort(hash_keys(seed, found), kind="stable")
    return number * _WINDOW * _BLOCK - (missing if short < number * _WINDOW else 0), found[order]


@functools.lru_cache(maxsize=2)
def _blocks(rows: int, seed: int) -> np.ndarray:
    count = -(-rows // _BLOCK)
    return np.argsort(hash_keys(seed, np.arange(count), -1), kind="stable").astype(np.int64)
