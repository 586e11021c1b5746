import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.toys import clusters, matrix
from tf_e2egrec.retrieval.epochs import pairs_of_epoch, steps_per_epoch, training_batches


@given(st.integers(0, 2**40))
def test_an_epoch_holds_every_pair_once_with_a_negative_that_is_none(seed):
    train = matrix(3)
    pairs = pairs_of_epoch(train, seed)
    dense = train.toarray()
    found = np.zeros_like(dense)
    np.add.at(found, (pairs.user, pairs.item), 1)
    np.testing.assert_array_equal(found, dense)
    assert (dense[pairs.user, pairs.negative] == 0).all()


def test_negatives_are_uniform_over_the_unseen_items():
    train = matrix(3)
    drawn = [pairs_of_epoch(train, seed) for seed in range(4000)]
    user = int(drawn[0].user[0])
    negatives = np.concatenate([one.negative[one.user == user] for one in drawn])
    unseen = np.flatnonzero(train.toarray()[user] == 0)
    counts = np.bincount(negatives, minlength=train.shape[1])[unseen]
    assert counts.sum() == len(negatives)
    expected = len(negatives) / len(unseen)
    assert ((counts - expected) ** 2 / expected).sum() < 3 * len(unseen) + 10  # chi-square


def test_a_user_who_has_every_item_gets_some_negative():
    train = matrix(0, users=2, items=2)
    train = train[:1, :1]
    assert pairs_of_epoch(train, 0).negative.tolist() == [0]


def test_batches_are_a_function_of_seed_and_epoch():
    train = clusters().train
    steps = steps_per_epoch(train, 32)
    assert steps == train.nnz // 32

    def batches(seed, start=(0, 0)):
        return [np.stack(one) for one in training_batches(train, 32, seed, 3, start).as_numpy_iterator()]

    whole = batches(5)
    assert len(whole) == 3 * steps and whole[0].shape == (3, 32)
    np.testing.assert_array_equal(whole, batches(5))
    np.testing.assert_array_equal(whole[steps + 2 :], batches(5, (1, 2)))
    assert not np.array_equal(whole[0], whole[steps]) and not np.array_equal(whole[0], batches(6)[0])
    assert [len(one[0]) for one in training_batches(train, 10**6, 0, 1).as_numpy_iterator()] == [train.nnz]
