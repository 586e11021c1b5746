import numpy as np

from tf_e2egrec.graph.negatives import MAX_ATTEMPTS, draw_negatives
from tf_e2egrec.graph.pool_table import PoolTable

POOLS = PoolTable(
    every=10,
    buckets=np.array([1, 3]),
    indptr=np.array([0, 40, 43]),
    items=np.r_[np.arange(20), np.arange(20), [7, 7, 8]],
)


def draw(impressions, time, user, known, per_positive=3, seed=0):
    indptr = np.r_[0, np.cumsum([len(one) for one in known])]
    items = np.concatenate([np.sort(one) for one in known]).astype(np.int64)
    arrays = [np.asarray(x, np.int64) for x in (impressions, time, user)]
    return draw_negatives(POOLS, *arrays, indptr.astype(np.int64), items, per_positive, seed)


def test_negatives_are_unknown_distinct_items_of_the_pool():
    rng = np.random.default_rng(0)
    known = [rng.choice(20, 12, replace=False) for _ in range(10)]
    user = rng.integers(0, 10, 500)
    drawn, rejected = draw(np.arange(500), np.full(500, 15), user, known)
    assert (drawn >= 0).all()
    assert rejected > 0
    for row, one in zip(drawn, user, strict=True):
        assert not set(row) & set(known[one])
        assert len(set(row)) == 3
    counts = np.bincount(
        draw(np.arange(4000), np.full(4000, 15), np.zeros(4000), [[]], 1)[0][:, 0], minlength=20
    )
    assert counts.min() > 120  # 200 expected each


def test_a_pool_is_used_in_its_bucket_alone():
    drawn, _ = draw([1, 2, 3, 4], [9, 30, 39, 40], [0] * 4, [[]], 1)
    assert (drawn[:, 0] >= 0).tolist() == [False, True, True, False]
    assert set(drawn[1:3, 0]) <= {7, 8}


def test_a_user_who_knows_the_pool_gets_fewer():
    drawn, rejected = draw([5], [35], [0], [[7]], 2)
    assert sorted(drawn[0].tolist()) == [-1, 8]
    assert rejected >= MAX_ATTEMPTS
    assert (draw([5], [35], [0], [[7, 8]], 2)[0] == -1).all()


def test_draws_do_not_depend_on_the_order_of_positives():
    ids, order = np.arange(100) * 7919, np.random.default_rng(1).permutation(100)
    first, _ = draw(ids, np.full(100, 15), np.zeros(100), [[3]])
    second, _ = draw(ids[order], np.full(100, 15), np.zeros(100), [[3]])
    assert (first[order] == second).all()
    assert (draw(ids, np.full(100, 15), np.zeros(100), [[3]], seed=1)[0] != first).any()
