"""A public Rust implementation of Swing, if it is installed: `recfarm`, which LibRecommender's `Swing` calls.

    pip install --no-deps recfarm==0.2.1

LibRecommender itself is not needed: what it does before the call is done here.
"""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

NOT_INSTALLED = (
    "the Rust implementation is not installed (pip install --no-deps recfarm==0.2.1): not compared"
)
_TOP, _ALPHA, _CACHE = 200, 1.0, 100_000_000


@dataclasses.dataclass
class _Lists:
    """A sparse matrix in the form that the Rust code takes."""

    sparse_indices: list[int]
    sparse_indptr: list[int]
    sparse_data: list[float]


def _as_lists(matrix: Any) -> _Lists:
    return _Lists(matrix.indices.tolist(), matrix.indptr.tolist(), matrix.data.tolist())


def rust_swing(user: np.ndarray, item: np.ndarray, threads: int) -> Callable[[], int] | None:
    """A function that computes Swing as LibRecommender does, from its sparse matrices on, and gives the number of edges.

    Its score is 1 / (alpha + |I_u ∩ I_v|) without weights and without caps on users: less work per pair, more pairs.

    Args:
      user, item: int64 [n] from 0 on.
      threads: of the Rust code.

    Returns:
      None where it is not installed.
    """
    if importlib.util.find_spec("recfarm") is None:
        return None
    import recfarm
    from scipy.sparse import csr_matrix

    user, item = np.unique(np.stack([user, item]), axis=1)
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    matrix = csr_matrix((np.ones(len(user), np.float32), (user, item)), shape)
    by_user, by_item = _as_lists(matrix), _as_lists(matrix.T.tocsr())
    bounds = by_user.sparse_indptr
    consumed = {
        one: by_user.sparse_indices[bounds[one] : bounds[one + 1]]
        for one in range(shape[0])
        if bounds[one] < bounds[one + 1]
    }

    def compute() -> int:
        model = recfarm.Swing(_TOP, _ALPHA, _CACHE, *shape, by_user, by_item, consumed, 0.0)
        model.compute_swing(threads)
        return model.num_swing_elements()

    return compute
