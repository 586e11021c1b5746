import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.interactions import Interactions
from tf_e2egrec.retrieval.splits import k_core, split_interactions


def log(rows):
    """(user, item) in order of time."""
    array = np.array(rows, np.int64).reshape(-1, 2)
    return Interactions(array[:, 0], array[:, 1], np.arange(len(array)))


def random_log(seed, users=30, items=25, count=600):
    rng = np.random.default_rng(seed)
    return log(np.stack([rng.integers(0, users, count) * 10, rng.integers(0, items, count) + 100], axis=1))


def pairs_of(split, matrix):
    rows, columns = matrix.nonzero()
    return set(zip(split.user_keys[rows].tolist(), split.item_keys[columns].tolist(), strict=True))


def brute_force_core(pairs, k):
    pairs = set(pairs)
    while True:
        left = {
            (u, i)
            for u, i in pairs
            if sum(v == u for v, _ in pairs) >= k and sum(j == i for _, j in pairs) >= k
        }
        if left == pairs:
            return left
        pairs = left


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40), st.integers(1, 4))
def test_the_core_is_the_largest_part_in_which_all_have_enough(pairs, k):
    found = k_core(log(sorted(pairs)), k)
    assert set(zip(found.user.tolist(), found.item.tolist(), strict=True)) == brute_force_core(pairs, k)


@given(st.integers(0, 50), st.sampled_from(["random", "leave_last_out"]), st.sampled_from([0.0, 0.1, 0.3]))
def test_parts_are_disjoint_and_whole_and_every_user_gets_its_shares(seed, how, share):
    interactions = random_log(seed, count=150)
    split = split_interactions(interactions, RecommendSpec(split=how, core=1, valid_share=share), 3)
    train, valid, test = (pairs_of(split, m) for m in (split.train, split.valid, split.test))
    assert not train & valid and not train & test and not valid & test
    wanted = set(zip(interactions.user.tolist(), interactions.item.tolist(), strict=True))
    assert train | valid | test == wanted
    for user in split.user_keys:
        number = sum(u == user for u, _ in wanted)
        held = sum(u == user for u, _ in test)
        assert held == (max(1, int(0.1 * number)) if how == "random" else 1) * (number >= 2)
        validates = share > 0 and number >= 3
        expected = max(1, int(share * number + 1e-9)) if how == "random" else 1
        assert sum(u == user for u, _ in valid) == expected * validates


def test_the_random_split_depends_on_seed_and_pairs_alone():
    interactions, spec = random_log(0), RecommendSpec(core=2)
    order = np.random.default_rng(1).permutation(len(interactions.user))
    shuffled = Interactions(*(column[order] for column in interactions))
    first, second, third = (
        split_interactions(one, spec, seed)
        for one, seed in ((interactions, 0), (shuffled, 0), (interactions, 1))
    )
    assert pairs_of(first, first.test) == pairs_of(second, second.test)
    assert pairs_of(first, first.valid) == pairs_of(second, second.valid)
    assert pairs_of(first, first.test) != pairs_of(third, third.test)


def test_the_last_item_is_tested_and_the_one_before_validates():
    rows = [(1, 5), (1, 6), (2, 6), (1, 7), (2, 5), (1, 5)]  # the second (1, 5) is a repetition
    split = split_interactions(log(rows), RecommendSpec(split="leave_last_out", core=1), 0)
    assert pairs_of(split, split.test) == {(1, 7), (2, 5)}
    assert pairs_of(split, split.valid) == {(1, 6)}
    assert pairs_of(split, split.train) == {(1, 5), (2, 6)}
    assert split.counters["interactions"] == 6 and split.counters["pairs"] == 5


def test_fixed_files_keep_what_they_say():
    spec = RecommendSpec(split="fixed", test_paths="test.txt", valid_share=0)
    train, test = [(1, 5), (1, 6), (2, 6)], [(1, 7), (2, 6), (3, 8)]
    split = split_interactions(log(train), spec, 0, log(test))
    assert pairs_of(split, split.train) == set(train)
    assert pairs_of(split, split.test) == {(1, 7), (3, 8)}
    assert split.valid.nnz == 0
    assert split.counters["tested_pairs_that_are_trained"] == 1
    assert split.train.shape == (3, 4)
    validated = split_interactions(
        random_log(2), RecommendSpec(split="fixed", test_paths="t", valid_share=0.2), 0, log(test)
    )
    share = validated.valid.nnz / (validated.valid.nnz + validated.train.nnz)
    assert 0.15 < share < 0.2


def test_nothing_left_is_a_sentence():
    with pytest.raises(E2EGRecError, match=r"no pair of user and item is left to train on: 3 .* lower"):
        split_interactions(log([(1, 5), (1, 6), (2, 6)]), RecommendSpec(core=5), 0)
    with pytest.raises(E2EGRecError, match="left to test"):
        split_interactions(log([(1, 5), (2, 6)]), RecommendSpec(core=1), 0)
