"""The sampling kernel against exact probabilities and a plain reading of its definition."""

import itertools

import numpy as np
import pytest
import scipy.stats

from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.sampling import _kth_largest, sample_neighbours

WEIGHTS = np.array([0.05, 0.2, 0.5, 1.0, 3.0, 9.0])
COPIES = 20_000  # targets with the same neighbours and weights, and independent noise


def copies_of_one_star() -> NeighbourTable:
    m = len(WEIGHTS)
    target = np.repeat(np.arange(COPIES) + 100, m)
    return NeighbourTable.from_edges(np.tile(np.arange(m), COPIES), target, np.tile(WEIGHTS, COPIES))


STARS = copies_of_one_star()


def random_table(seed: int, items: int = 50, edges: int = 800) -> NeighbourTable:
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.stack([rng.integers(0, items, edges), rng.integers(0, items, edges)]), axis=1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    weight = rng.choice([0.1, 0.5, 0.5, 2.0, 7.0], pairs.shape[1])  # many ties
    return NeighbourTable.from_edges(pairs[0], pairs[1], weight)


def rows(sample: NeighbourSample) -> list[list[int]]:
    return [sample.sources[a:b].tolist() for a, b in itertools.pairwise(sample.indptr)]


def inclusion_counts(sample: NeighbourSample) -> np.ndarray:
    return np.bincount(sample.sources, minlength=len(WEIGHTS))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0])
def test_one_draw_follows_the_weights_to_the_power_of_beta(beta):
    sample = sample_neighbours(STARS, STARS.items, 1, beta=beta, seed=3)
    expected = WEIGHTS**beta / (WEIGHTS**beta).sum() * COPIES
    assert (sample.counts == 1).all()
    assert scipy.stats.chisquare(inclusion_counts(sample), expected).pvalue > 1e-3


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_two_draws_are_successive_draws_without_replacement(beta):
    sample = sample_neighbours(STARS, STARS.items, 2, beta=beta, seed=4)
    p = WEIGHTS**beta / (WEIGHTS**beta).sum()
    pairs = list(itertools.combinations(range(len(p)), 2))
    expected = np.array([p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j]) for i, j in pairs]) * COPIES
    found = dict.fromkeys(pairs, 0)
    for row in rows(sample):
        found[tuple(sorted(row))] += 1
    kept = expected > 5
    observed = np.array(list(found.values()))[kept]
    assert (
        scipy.stats.chisquare(observed, expected[kept] * observed.sum() / expected[kept].sum()).pvalue > 1e-3
    )


def test_beta_zero_includes_neighbours_uniformly():
    sample = sample_neighbours(STARS, STARS.items, 4, beta=0.0, seed=5)
    share = inclusion_counts(sample) / COPIES
    np.testing.assert_allclose(share, 4 / len(WEIGHTS), atol=5 * np.sqrt(0.25 / COPIES))


def test_a_large_beta_takes_the_heaviest():
    table = STARS
    sample = sample_neighbours(table, table.items[:500], 3, beta=500.0)
    assert rows(sample) == rows(sample_neighbours(table, table.items[:500], 3, deterministic=True))


def test_deterministic_form_takes_the_heaviest_ties_by_key():
    table = random_table(0)
    sample = sample_neighbours(table, table.items, 6, beta=0.5, deterministic=True)
    for i, item in enumerate(table.items):
        edges = slice(table.indptr[i], table.indptr[i + 1])
        order = sorted(zip(-table.weights[edges], table.neighbours[edges], strict=True))[:6]
        assert rows(sample)[i] == [key for _, key in order]
        chosen = slice(*sample.indptr[i : i + 2])
        weights = np.array([-w for w, _ in order])
        np.testing.assert_array_equal(sample.weights[chosen], weights)
        np.testing.assert_allclose(
            sample.propagation_weights[chosen],
            weights**0.5 / (weights**0.5).sum(),
            rtol=1e-5,
            err_msg=str(item),
        )


def test_a_sample_depends_on_seed_epoch_source_and_target_alone():
    table = random_table(1)
    rng = np.random.default_rng(0)
    whole = dict(
        zip(table.items.tolist(), rows(sample_neighbours(table, table.items, 5, seed=7)), strict=True)
    )
    some = rng.permutation(table.items)[:20]
    assert rows(sample_neighbours(table, some, 5, seed=7)) == [whole[key] for key in some]
    assert rows(sample_neighbours(table, table.items, 5, seed=8)) != list(whole.values())
    assert rows(sample_neighbours(table, table.items, 5, seed=7, epoch=1)) != list(whole.values())


def test_an_edge_more_does_not_reshuffle_the_others():
    table = random_table(2)
    lighter = NeighbourTable.from_edges(
        np.r_[table.neighbours, np.full(len(table), 777)],
        np.r_[np.repeat(table.items, np.diff(table.indptr)), table.items],
        np.r_[table.weights, np.full(len(table), 1e-30, np.float32)],
    )
    before, after = (rows(sample_neighbours(one, table.items, 5, beta=1.0)) for one in (table, lighter))
    full = np.diff(table.indptr) >= 5
    assert [a for a, f in zip(after, full, strict=True) if f] == [
        b for b, f in zip(before, full, strict=True) if f
    ]


def test_only_the_top_heaviest_are_considered():
    table = random_table(3)
    sample = sample_neighbours(table, table.items, 4, beta=0.0, top=6)
    heaviest = rows(sample_neighbours(table, table.items, 6, deterministic=True))
    assert all(set(row) <= set(top) for row, top in zip(rows(sample), heaviest, strict=True))
    truncated = sample_neighbours(table.truncate(6), table.items, 4, beta=0.0)
    assert rows(sample) == rows(truncated)


@pytest.mark.parametrize("deterministic", [False, True])
def test_unusable_edges_are_never_sampled(deterministic):
    table = NeighbourTable(
        items=np.array([1, 2]),
        indptr=np.array([0, 5, 6]),
        neighbours=np.array([1, 5, 6, 7, 8, 9]),
        weights=np.array([4, 3, np.nan, 0, 2, -1], np.float32),
    )
    sample = sample_neighbours(table, np.array([2, 1, 3]), 10, deterministic=deterministic)
    assert rows(sample) == [[], [5, 8], []]
    np.testing.assert_allclose(sample.propagation_weights.sum(), 1, rtol=1e-6)


def test_targets_without_neighbours():
    sample = sample_neighbours(NeighbourTable.empty(), np.array([1, 2]), 5)
    assert sample.counts.tolist() == [0, 0]
    assert sample_neighbours(STARS, np.zeros(0, np.int64), 5).counts.tolist() == []


def test_sampled_neighbours_are_averaged_plainly():
    sample = sample_neighbours(STARS, STARS.items[:3], 4)
    np.testing.assert_allclose(sample.propagation_weights, 0.25)


def test_plain_correction_estimates_the_weighted_mean_without_bias():
    x = np.array([1.0, -4.0, 2.0, 8.0, 3.0, 5.0])
    sample = sample_neighbours(STARS, STARS.items, 1, beta=0.5, importance_correction="plain")
    estimates = x[sample.sources] * sample.propagation_weights
    exact = (WEIGHTS / WEIGHTS.sum() * x).sum()
    assert abs(estimates.mean() - exact) < 4 * estimates.std() / np.sqrt(COPIES)
    uncorrected = x[sample.sources].mean()
    assert abs(uncorrected - exact) > 20 * estimates.std() / np.sqrt(COPIES)


def test_corrections_give_the_exact_weights_where_every_neighbour_is_taken():
    order = np.argsort(-WEIGHTS)
    for correction in ("plain", "self_normalised"):
        sample = sample_neighbours(STARS, STARS.items[:1], 6, importance_correction=correction)
        np.testing.assert_allclose(sample.propagation_weights, WEIGHTS[order] / WEIGHTS.sum(), rtol=1e-6)


def test_self_normalised_correction_sums_to_one():
    sample = sample_neighbours(STARS, STARS.items[:50], 3, importance_correction="self_normalised")
    sums = np.add.reduceat(sample.propagation_weights, sample.indptr[:-1])
    np.testing.assert_allclose(sums, 1, rtol=1e-6)


def test_concatenated_samples_keep_their_rows():
    table = random_table(4)
    a, b = sample_neighbours(table, table.items[:5], 3), sample_neighbours(table, table.items[5:9], 2)
    assert rows(NeighbourSample.concatenate([a, b])) == rows(a) + rows(b)


def test_quickselect_against_sorting():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 10, 57):
        for values in (rng.random(n), rng.integers(0, 4, n).astype(float), np.zeros(n)):
            for k in range(1, n + 1):
                threshold, equal = _kth_largest(values.copy(), n, k)
                assert threshold == np.sort(values)[::-1][k - 1]
                assert equal == k - (values > threshold).sum()
