"""K-hop sampling against a plain reading of its definition, exact probabilities and exact sums."""

import math

import numpy as np
import pytest
import scipy.stats

from tf_e2egrec.dataset.ids import hash_keys, mix64
from tf_e2egrec.graph.heterogeneous_sampling import adjacency_tables, sample_subgraphs
from tf_e2egrec.graph.sampling_plan import SamplingPlan

EDGE_SETS = {"click": ("user", "item"), "swing": ("item", "item"), "written_by": ("item", "author")}
TWO_HOPS = SamplingPlan.model_validate(
    {
        "seed_node_set": "item",
        "ops": [
            {"name": "first", "edge_set": "swing", "fanout": 3},
            {"name": "second", "edge_set": "swing", "from": ["first"], "fanout": 2, "beta": 1.0},
            {"name": "fans", "edge_set": "click", "from": ["seeds", "first"], "fanout": 2},
            {"name": "liked", "edge_set": "click", "from": ["fans"], "fanout": 3, "direction": "outgoing"},
            {"edge_set": "written_by", "from": ["liked", "second"], "fanout": 1, "direction": "outgoing"},
        ],
        "top": 6,
        "seed": 3,
    }
)


def random_edges(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    edges = {}
    for name, (source, target) in EDGE_SETS.items():
        size = {"user": 12, "item": 30, "author": 5}
        pairs = np.unique(rng.integers(0, [size[source], size[target]], (150, 2)), axis=0)
        weight = rng.choice([0.5, 1.0, 1.0, 4.0, 0.0, np.nan], len(pairs)).astype(np.float32)
        edges[name] = pairs[:, 0], pairs[:, 1], weight
    return edges


def brute_force(plan, edges, seed, target=-1):
    """(nodes by set, edges by set: (source, target) -> the ops that chose it) of one seed."""
    ends = plan.ends(EDGE_SETS)
    nodes = {plan.seed_node_set: {(-1, seed)}}
    chosen: dict[str, dict] = {}
    arrivals = {-1: {seed}}
    for number, op in enumerate(plan.ops):
        arrivals[number] = set()
        for node in sorted(set().union(*(arrivals[place] for place in plan.inputs_of(number)))):
            sources, targets, weights = edges[op.edge_set]
            near, far = (targets, sources) if op.direction == "incoming" else (sources, targets)
            listed = sorted(
                (-w, f) for n, f, w in zip(near, far, weights, strict=True) if n == node and not math.isnan(w)
            )
            listed = [(-w, f) for w, f in listed[: plan.top] if w < 0]
            if op.edge_set in plan.target_edge_sets:
                listed = [
                    (w, f) for w, f in listed
                    if not (ends[number].start == plan.seed_node_set and node == seed and f == target)
                    and not (ends[number].arrival == plan.seed_node_set and f == seed and node == target)
                ]  # fmt: skip
            if not plan.deterministic:
                noise = {f: float(hash_uniform_of(plan, number, f, node)) for _, f in listed}
                listed.sort(
                    key=lambda one: -(op.beta * math.log(one[0]) - math.log(-math.log(noise[one[1]])))
                )
            for _, neighbour in listed[: op.fanout]:
                arrivals[number].add(neighbour)
                nodes.setdefault(ends[number].arrival, set()).add((number, neighbour))
                pair = (neighbour, node) if op.direction == "incoming" else (node, neighbour)
                chosen.setdefault(op.edge_set, {}).setdefault(pair, set()).add((number, op.direction))
    return nodes, chosen


def hash_uniform_of(plan, number, source, target):
    state = int(hash_keys(plan.noise_seed(number)))
    mixed = np.uint64(mix64(np.uint64(state) ^ np.uint64(plan.epoch)))
    for key in (source, target):
        mixed = np.uint64(mix64(mixed ^ np.uint64(mix64(np.uint64(key)))))
    return ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) / (1 << 52)


@pytest.mark.parametrize(
    "changes", [{}, {"epoch": 4}, {"deterministic": True}, {"target_edge_sets": ("swing", "click")}]
)
def test_subgraphs_are_those_of_the_definition(changes):
    plan, edges = TWO_HOPS.model_copy(update=changes), random_edges()
    seeds = np.arange(30)
    targets = np.random.default_rng(1).integers(0, 30, 30)
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), seeds, targets)
    for i, seed in enumerate(seeds):
        nodes, chosen = brute_force(plan, edges, seed, targets[i])
        for name, lists in found.nodes.items():
            first = {}
            for number, key in sorted(nodes.get(name, ())):
                first.setdefault(key, number)
            expected = [key for _, key in sorted((number, key) for key, number in first.items())]
            assert lists.keys[lists.indptr[i] : lists.indptr[i + 1]].tolist() == expected
        for name, lists in found.edges.items():
            rows = slice(*lists.indptr[i : i + 2])
            source, target = (
                found.nodes[node_set].keys[found.nodes[node_set].indptr[i] + numbers[rows]].tolist()
                for node_set, numbers in zip(EDGE_SETS[name], (lists.source, lists.target), strict=True)
            )
            pairs = list(zip(source, target, strict=True))
            assert len(set(pairs)) == len(pairs)
            assert set(pairs) == set(chosen.get(name, {}))
            known = {(s, t): w for s, t, w in zip(*edges[name], strict=True)}
            assert [known[pair] for pair in pairs] == lists.weight[rows].tolist()
            assert (np.diff(lists.target[rows]) >= 0).all()


def test_propagation_weights_sum_to_one_however_many_ops_drew():
    plan, edges = TWO_HOPS, random_edges()
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), np.arange(30))
    for name, lists in found.edges.items():
        example = np.repeat(np.arange(30), np.diff(lists.indptr))
        for share, receiver in ((lists.to_target, lists.target), (lists.to_source, lists.source)):
            if share is not None:
                sums = np.bincount((example * 1000 + receiver)[share > 0], share[share > 0])
                np.testing.assert_allclose(sums[sums > 0], 1, rtol=1e-5, err_msg=name)
    assert found.edges["swing"].to_source is None
    assert found.edges["click"].to_source is not None


def test_order_and_company_of_the_seeds_change_nothing():
    edges = random_edges()
    tables = adjacency_tables(TWO_HOPS, edges)
    whole = sample_subgraphs(TWO_HOPS, EDGE_SETS, tables, np.arange(30))
    some = np.array([7, 29, 7, 3])
    part = sample_subgraphs(TWO_HOPS, EDGE_SETS, tables, some)
    order = np.random.default_rng(0).permutation(len(edges["swing"][0]))
    shuffled = edges | {"swing": tuple(column[order] for column in edges["swing"])}
    again = sample_subgraphs(TWO_HOPS, EDGE_SETS, adjacency_tables(TWO_HOPS, shuffled), some)
    for sample in (part, again):
        for name, lists in sample.edges.items():
            reference = whole.edges[name]
            for row, seed in enumerate(some):
                mine, theirs = slice(*lists.indptr[row : row + 2]), slice(*reference.indptr[seed : seed + 2])
                for field in ("source", "target", "weight"):
                    np.testing.assert_array_equal(
                        getattr(lists, field)[mine], getattr(reference, field)[theirs]
                    )


WEIGHTS = np.array([0.05, 0.2, 0.5, 1.0, 3.0, 9.0], np.float32)
STARS = 20_000


def star_plan(**changes) -> SamplingPlan:
    ops = [
        {
            "name": "hop1",
            "edge_set": "swing",
            "fanout": changes.pop("fanout", 1),
            "beta": changes.pop("beta", 0.5),
        },
        {"name": "hop2", "edge_set": "swing", "from": ["seeds"], "fanout": 1, "beta": 1.0},
    ][: changes.pop("ops", 1)]
    return SamplingPlan.model_validate({"seed_node_set": "item", "ops": ops} | changes)


def stars() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Neighbours 0..5 of each of the items 100, 101, ..."""
    target = np.repeat(np.arange(STARS) + 100, len(WEIGHTS))
    return {"swing": (np.tile(np.arange(len(WEIGHTS)), STARS), target, np.tile(WEIGHTS, STARS))}


def neighbours(found) -> np.ndarray:
    lists, nodes = found.edges["swing"], found.nodes["item"]
    example = np.repeat(np.arange(len(found)), np.diff(lists.indptr))
    return nodes.keys[nodes.indptr[example] + lists.source]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_frequencies_follow_the_weights_to_the_power_of_beta(beta):
    plan = star_plan(beta=beta, seed=5)
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, stars()), np.arange(STARS) + 100)
    expected = WEIGHTS**beta / (WEIGHTS**beta).sum() * STARS
    assert (
        scipy.stats.chisquare(np.bincount(neighbours(found), minlength=6), expected, sum_check=False).pvalue
        > 1e-3
    )


def test_two_ops_over_one_edge_set_draw_independently():
    plan, tables = star_plan(ops=2, seed=6), adjacency_tables(star_plan(), stars())
    found = sample_subgraphs(plan, EDGE_SETS, tables, np.arange(STARS) + 100)
    p, q = WEIGHTS**0.5 / (WEIGHTS**0.5).sum(), WEIGHTS / WEIGHTS.sum()
    both = (np.diff(found.edges["swing"].indptr) == 1).sum()
    expected = (p * q).sum()
    assert abs(both / STARS - expected) < 4 * np.sqrt(expected * (1 - expected) / STARS)


def test_two_hops_over_one_edge_set_from_a_path():
    edges = {"swing": (np.array([1, 2, 3, 1]), np.array([0, 1, 2, 3]), np.ones(4, np.float32))}
    plan = SamplingPlan.model_validate(
        {
            "seed_node_set": "item",
            "ops": [
                {"edge_set": "swing"},
                {"edge_set": "swing", "from": ["swing-0"]},
                {"edge_set": "swing", "from": ["swing-1"]},
            ],
        }
    )
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), np.array([0, 2]))
    assert found.nodes["item"].keys.tolist() == [0, 1, 2, 3, 2, 3, 1]
    assert found.nodes["item"].indptr.tolist() == [0, 4, 7]
    first = list(
        zip(found.edges["swing"].source[:3].tolist(), found.edges["swing"].target[:3].tolist(), strict=True)
    )
    assert first == [(1, 0), (2, 1), (3, 2)]
    pairs = {
        (int(s), int(t))
        for s, t in zip(found.edges["swing"].source[3:], found.edges["swing"].target[3:], strict=True)
    }
    assert pairs == {(1, 0), (2, 1), (0, 2)}


@pytest.mark.parametrize("fanout", [1, 2, 4])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_correction_is_unbiased_without_replacement(fanout, beta):
    x = np.array([1.0, -4.0, 2.0, 8.0, 3.0, 5.0])
    plan = star_plan(fanout=fanout, beta=beta, importance_correction="horvitz_thompson", seed=fanout)
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, stars()), np.arange(STARS) + 100)
    share = found.edges["swing"].to_target
    example = np.repeat(np.arange(STARS), np.diff(found.edges["swing"].indptr))
    estimates = np.bincount(example, x[neighbours(found)] * share)
    exact = (WEIGHTS * x).sum() / WEIGHTS.sum()
    assert abs(estimates.mean() - exact) < 4 * estimates.std() / np.sqrt(STARS)


def test_the_mean_of_two_corrected_draws_is_unbiased():
    x = np.array([1.0, -4.0, 2.0, 8.0, 3.0, 5.0])
    plan = star_plan(fanout=3, ops=2, importance_correction="horvitz_thompson")
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, stars()), np.arange(STARS) + 100)
    example = np.repeat(np.arange(STARS), np.diff(found.edges["swing"].indptr))
    estimates = np.bincount(example, x[neighbours(found)] * found.edges["swing"].to_target)
    assert abs(estimates.mean() - (WEIGHTS * x).sum() / WEIGHTS.sum()) < 4 * estimates.std() / np.sqrt(STARS)


@pytest.mark.parametrize("correction", ["plain", "self_normalised", "horvitz_thompson"])
def test_corrections_are_exact_where_every_neighbour_is_taken(correction):
    plan = star_plan(fanout=6, importance_correction=correction)
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, stars()), np.array([100]))
    np.testing.assert_allclose(
        found.edges["swing"].to_target, WEIGHTS[neighbours(found)] / WEIGHTS.sum(), rtol=1e-6
    )


def test_a_seed_without_edges_is_alone_and_nothing_is_padded():
    plan, edges = TWO_HOPS, random_edges()
    found = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), np.array([999, 1]))
    assert np.diff(found.nodes["item"].indptr)[0] == 1
    assert np.diff(found.nodes["user"].indptr)[0] == 0
    assert all((lists.keys >= 0).all() for lists in found.nodes.values())
    assert all((lists.weight > 0).all() and (lists.source >= 0).all() for lists in found.edges.values())
    nothing = sample_subgraphs(plan, EDGE_SETS, adjacency_tables(plan, edges), np.zeros(0, np.int64))
    assert len(nothing) == 0
    assert nothing.edges["swing"].indptr.tolist() == [0]
