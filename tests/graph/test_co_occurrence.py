import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.graph.co_occurrence import co_occurrence_edges, pair_counting_spec
from tf_e2egrec.graph.swing import swing_edges
from tf_e2egrec.graph.swing_reference import capped_histories

logs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 6)), max_size=120)
specs = st.builds(
    SwingSpec,
    preset=st.sampled_from(["pai", "paper", "seed"]),
    top=st.integers(1, 12),
    min_behaviours=st.integers(1, 3),
    max_behaviours=st.integers(3, 12),
    max_users_per_item=st.integers(2, 12),
    normalise=st.booleans(),
)


def edges_of(users, items, times, spec, seed=0):
    return co_occurrence_edges(swing_edges(users, items, times, pair_counting_spec(spec), seed))


def by_matrix_product(users, items, times, spec, seed=0):
    """target -> [(source, common users)] by R^T R, the anchor cap taking users away on the left side."""
    histories = capped_histories(users, items, times, spec)
    rows = [(user, item) for user, history in histories.items() for item in history]
    if not rows:
        return {}
    user, item = np.array(rows, np.int64).T
    full = scipy.sparse.csr_array((np.ones(len(rows)), (user, item)), shape=(20, 20))
    kept = np.zeros(len(rows), bool)
    for anchor in np.unique(item):
        of_anchor = np.flatnonzero(item == anchor)
        draw = hash_keys(seed, user[of_anchor], anchor)
        kept[of_anchor[np.lexsort((user[of_anchor], draw))][: spec.max_users_per_item]] = True
    capped = scipy.sparse.csr_array((np.ones(kept.sum()), (user[kept], item[kept])), shape=(20, 20))
    counts = (capped.T @ full).toarray()
    np.fill_diagonal(counts, 0)
    counts[counts < 2] = 0
    result = {}
    for anchor in range(20):
        row = sorted(((-c, s) for s, c in enumerate(counts[anchor]) if c), key=lambda pair: pair)
        if row:
            result[anchor] = [(s, -c) for c, s in row[: spec.top]]
    return result


@settings(deadline=None, max_examples=300)
@given(log=logs, spec=specs, seed=st.integers(0, 3))
def test_weights_are_the_numbers_of_common_users(log, spec, seed):
    columns = np.array(log, np.int64).reshape(-1, 3).T
    edges = edges_of(*columns, spec, seed)
    found: dict[int, list[tuple[int, float]]] = {}
    for target, source, weight in zip(
        edges.target.tolist(), edges.source.tolist(), edges.weight.tolist(), strict=True
    ):
        found.setdefault(target, []).append((source, weight))
    assert found == by_matrix_product(*(column.tolist() for column in columns), spec, seed)
    if spec.normalise:
        largest = {target: row[0][1] for target, row in found.items()}
        np.testing.assert_allclose(
            edges.normalised, edges.weight / [largest[t] for t in edges.target.tolist()], rtol=1e-6
        )


def test_many_common_users_are_counted_to_the_last_one():
    """Long histories and hot items: neither the overlap nor rounding may show."""
    users = np.repeat(np.arange(7000), 2)
    items = np.tile([0, 1], 7000)
    extra = np.repeat(np.arange(6999), 1)
    users, items = np.r_[users, extra], np.r_[items, np.full(6999, 2)]
    spec = SwingSpec(min_behaviours=1, max_users_per_item=10_000)
    edges = edges_of(users, items, None, spec)
    assert dict(zip(zip(edges.target.tolist(), edges.source.tolist(), strict=True), edges.weight.tolist(), strict=True)) == {
        (0, 1): 7000, (0, 2): 6999, (1, 0): 7000, (1, 2): 6999, (2, 0): 6999, (2, 1): 6999,
    }  # fmt: skip


def test_the_caps_are_those_of_swing():
    spec = SwingSpec(preset="pai", top=7, max_behaviours=9, max_users_per_item=11, normalise=True)
    changed = pair_counting_spec(spec)
    coefficients = {"alpha1", "alpha2", "beta"}
    assert changed.model_dump(exclude=coefficients) == spec.model_dump(exclude=coefficients)
