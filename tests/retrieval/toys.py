"""Small splits that tests of retrieval share."""

import numpy as np
import scipy.sparse as sp

from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval.interactions import Interactions
from tf_e2egrec.retrieval.splits import RetrievalSplit, split_interactions


def matrix(seed: int, users: int = 9, items: int = 7, density: float = 0.3) -> sp.csr_array:
    """Pairs of ones; the last user and the last item have none."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < density).astype(np.float32)
    dense[-1], dense[:, -1] = 0, 0
    dense[0, 0] = 1
    return sp.csr_array(dense)


def normalised(train: sp.csr_array) -> np.ndarray:
    """D^-1/2 A D^-1/2, float64 [U + I, U + I]."""
    users, items = train.shape
    dense = np.zeros((users + items, users + items))
    dense[:users, users:] = train.toarray()
    dense += dense.T
    degree = dense.sum(1)
    root = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    return root[:, np.newaxis] * dense * root


def clusters(users: int = 60, items: int = 40, each: int = 10, seed: int = 0) -> RetrievalSplit:
    """Users of two tastes, each with half of the items: a ranking that anything should learn."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = np.arange(items // 2) + (user % 2) * (items // 2)
        rows += [(user, item) for item in rng.choice(own, each, replace=False)]
    array = np.array(rows, np.int64)
    log = Interactions(array[:, 0], array[:, 1], np.arange(len(array)))
    return split_interactions(log, RecommendSpec(core=1, test_share=0.2, valid_share=0.2), 0)
