"""Seeds of a batch against a plain loop over its places, and their samples against probabilities."""

import numpy as np
import pytest
import scipy.stats

from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.sampling import sample_neighbours
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
from tf_e2egrec.subgraphs.seed_sampler import SeedSampler

SAMPLING = SamplingSpec(fanout=4, recent_fanout=2, evaluation_fanout=6, beta=0.7, top=9)
PLAN = SnapshotPlan(origin=100, refresh=10, window=1000)


def random_tables(seed: int = 0) -> dict[int, NeighbourTable]:
    rng = np.random.default_rng(seed)
    tables = {
        snapshot: NeighbourTable.from_edges(
            rng.permutation(40).repeat(10)[:300], rng.integers(0, 25, 300), rng.random(300)
        )
        for snapshot in range(3)
    }
    return tables | {-1: NeighbourTable.empty(), 3: NeighbourTable.empty()}


def random_batch(seed: int, impressions: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    histories = [rng.choice(30, rng.integers(0, 5), replace=False) for _ in range(impressions)]
    places = [np.r_[rng.integers(0, 30), history] for history in histories]
    time = rng.integers(90, 139, impressions)  # before the first snapshot, three with edges, one without
    return np.concatenate(places), np.array([len(one) for one in places], np.int32), time


def sampler(deterministic: bool, tables=None, sampling: SamplingSpec = SAMPLING) -> SeedSampler:
    return SeedSampler(tables or random_tables(), PLAN, NeighbourSampler(sampling, 5, deterministic))


@pytest.mark.parametrize(("deterministic", "epoch"), [(True, 0), (False, 0), (False, 3), (False, 2**40 + 1)])
def test_every_place_has_the_neighbours_of_its_item_snapshot_and_fanout(deterministic, epoch):
    tables = random_tables()
    key, places, time = random_batch(1)
    found = sampler(deterministic, tables)(key, places, time, np.int64(epoch))
    start, mentioned = 0, []
    for count, moment in zip(places, time, strict=True):
        snapshot = int(PLAN.snapshot_at(moment))
        for position in range(count):
            place = start + position
            fanout = 2 if position else 6 if deterministic else 4
            expected = sample_neighbours(
                tables[snapshot], key[[place]], fanout, beta=0.7, top=9, seed=5, epoch=epoch, deterministic=deterministic,
            )  # fmt: skip
            seed = found.seed_of_place[place]
            of_seed = found.target == seed
            assert found.key[seed] == key[place]
            assert found.source[of_seed].tolist() == expected.sources.tolist()
            assert found.weight[of_seed].tolist() == expected.weights.tolist()
            assert found.propagation_weight[of_seed].tolist() == expected.propagation_weights.tolist()
            mentioned.append((key[place], snapshot, position == 0))
        start += count
    assert found.seed_of_place.tolist() == [list(dict.fromkeys(mentioned)).index(one) for one in mentioned]
    assert len(found.key) == len(set(mentioned)) < len(mentioned)
    assert (np.diff(found.target) >= 0).all()
    assert len(found.source) > 100


def test_types_are_those_the_batch_graph_wants():
    for batch in (random_batch(2), tuple(np.zeros(0, np.int64) for _ in range(3))):
        found = sampler(False)(*batch, 0)
        dtypes = [np.int64, np.int32, np.int64, np.int32, np.float32, np.float32]
        assert [one.dtype for one in found] == dtypes


def test_recent_items_may_have_no_neighbours():
    sampling = SAMPLING.model_copy(update={"recent_fanout": 0})
    key, places, time = random_batch(3)
    found = sampler(False, sampling=sampling)(key, places, time, 0)
    candidates = set(found.seed_of_place[np.cumsum(places) - places].tolist())
    assert set(found.target.tolist()) <= candidates


def test_over_epochs_neighbours_are_drawn_independently_by_weight():
    weights = np.array([0.05, 0.2, 0.5, 1.0, 3.0, 9.0])
    star = NeighbourTable.from_edges(np.arange(6), np.full(6, 77), weights)
    sampling = SamplingSpec(fanout=1, beta=0.5)
    draw = sampler(False, {0: star}, sampling)
    arguments = np.array([77]), np.array([1]), np.array([105])
    chosen = np.array([draw(*arguments, epoch).source[0] for epoch in range(6_000)])
    share = weights**0.5 / (weights**0.5).sum()
    assert scipy.stats.chisquare(np.bincount(chosen, minlength=6), share * len(chosen)).pvalue > 1e-3
    pairs = np.zeros((6, 6))
    np.add.at(pairs, (chosen[:-1], chosen[1:]), 1)
    assert scipy.stats.chi2_contingency(pairs[2:, 2:]).pvalue > 1e-3
