import numpy as np

from tf_e2egrec.graph.neighbour_sample import NeighbourSample


def test_take_orders_and_repeats_targets():
    counts = np.array([2, 0, 3, 1])
    edges = np.arange(6)
    sample = NeighbourSample(
        np.r_[0, np.cumsum(counts)], edges + 10, edges / np.float32(2), edges / np.float32(4)
    )
    rows = np.array([3, 0, 1, 3])
    taken = sample.take(rows)
    expected = [np.arange(*sample.indptr[row : row + 2]) for row in rows]
    assert taken.counts.tolist() == counts[rows].tolist()
    np.testing.assert_array_equal(taken.sources, np.concatenate(expected) + 10)
    np.testing.assert_array_equal(taken.weights, np.concatenate(expected) / 2)
    np.testing.assert_array_equal(taken.propagation_weights, np.concatenate(expected) / 4)
    assert sample.take(np.zeros(0, np.int64)).indptr.tolist() == [0]


def test_an_empty_sample_has_targets_without_neighbours():
    empty = NeighbourSample.empty(3)
    assert (len(empty), empty.counts.tolist()) == (3, [0, 0, 0])
    whole = NeighbourSample.concatenate([empty, empty.take(np.array([1]))])
    assert (whole.sources.dtype, whole.weights.dtype, len(whole)) == (np.int64, np.float32, 4)
