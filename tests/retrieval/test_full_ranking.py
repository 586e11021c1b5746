import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.retrieval import full_ranking
from tf_e2egrec.retrieval.full_ranking import evaluate_ranking, ranked_items


def sparse(dense):
    found = sp.csr_array(dense.astype(np.float32))
    found.sort_indices()
    return found


def brute_force(users, items, seen, relevant, top):
    found = {}
    for k in top:
        rows = []
        for u in range(len(users)):
            wanted = set(np.flatnonzero(relevant[u]).tolist())
            if not wanted:
                continue
            scores = users[u] @ items.T
            order = [i for i in np.argsort(-scores, kind="stable").tolist() if not seen[u, i]][:k]
            hits = [i in wanted for i in order]
            gain = sum(1 / np.log2(r + 2) for r, hit in enumerate(hits) if hit)
            best = sum(1 / np.log2(r + 2) for r in range(min(len(wanted), k)))
            mrr = next((1 / (r + 1) for r, hit in enumerate(hits) if hit), 0.0)
            rows.append((sum(hits) / len(wanted), gain / best, mrr, float(any(hits)), sum(hits) / k))
        means = np.mean(rows, axis=0) if rows else np.zeros(5)
        found |= {f"{name}@{k}": m for name, m in zip(full_ranking.METRICS, means, strict=True)}
    return found


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 1000]))
@settings(max_examples=25)
def test_metrics_equal_a_brute_force_in_blocks_of_any_size(seed, scores_per_block):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 12), rng.integers(1, 15)
    # Small integers: products are exact, and there are ties.
    users, items = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in shape)
    kind = rng.choice(3, shape, p=[0.5, 0.25, 0.25])
    seen, relevant = kind == 1, kind == 2
    block, full_ranking._SCORES_PER_BLOCK = full_ranking._SCORES_PER_BLOCK, scores_per_block
    try:
        found = evaluate_ranking(
            tf.constant(users), tf.constant(items), sparse(seen), sparse(relevant), [1, 4, 20]
        )
    finally:
        full_ranking._SCORES_PER_BLOCK = block
    expected = brute_force(users, items, seen, relevant, [1, 4, 20])
    assert found == pytest.approx(expected, abs=1e-12)


def test_what_was_seen_is_never_ranked():
    items = tf.constant([[3.0], [2.0], [1.0]])
    seen = sparse(np.array([[1, 0, 0], [1, 1, 1]]))
    ranked = ranked_items(tf.constant([[1.0], [1.0]]), items, seen, 4)
    assert ranked.tolist() == [[1, 2, -1, -1], [-1, -1, -1, -1]]
