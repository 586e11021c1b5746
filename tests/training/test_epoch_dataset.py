import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.training import epoch_dataset


def shuffled(seed):
    return tf.data.Dataset.range(20).shuffle(20, seed=seed).batch(4)


def rows(dataset):
    return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def test_every_epoch_holds_every_row_in_an_order_of_its_own():
    found = rows(epoch_dataset(shuffled, 3, epochs=3))
    epochs = [np.concatenate(found[i : i + 5]).tolist() for i in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("start", [(0, 0), (0, 3), (1, 0), (1, 4), (2, 1)])
def test_the_rest_from_any_place_is_the_rest_of_the_whole(start):
    whole = rows(epoch_dataset(shuffled, 3, epochs=3))
    assert rows(epoch_dataset(shuffled, 3, epochs=3, start=start)) == whole[start[0] * 5 + start[1] :]

    def leaving_out(seed, skip):
        return shuffled(seed).skip(skip)

    assert rows(epoch_dataset(leaving_out, 3, epochs=3, start=start)) == whole[start[0] * 5 + start[1] :]


def test_the_order_is_a_function_of_the_seed_and_not_of_the_process():
    found = []
    for process_seed in (0, 1):
        tf.random.set_seed(process_seed)
        np.random.default_rng().random()
        data = epoch_dataset(shuffled, 3, epochs=2)
        found += [rows(data), rows(data)]
    assert all(one == found[0] for one in found)
    assert rows(epoch_dataset(shuffled, 4, epochs=2)) != found[0]
