import numpy as np

from tf_e2egrec.subgraphs.first_seen import FirstSeen
from tf_e2egrec.subgraphs.node_statistics import NodeStatistics


def test_against_plain_counting():
    rng = np.random.default_rng(0)
    key, time, training = rng.integers(0, 30, 500), rng.integers(0, 10_000, 500), rng.random(500) < 0.4
    parts = [NodeStatistics.of_rows(key[i::3], time[i::3], training[i::3]) for i in range(3)]
    parts += [NodeStatistics.of_rows(key[:0], time[:0], training[:0])]
    merged = NodeStatistics.merged(NodeStatistics.from_bytes(part.to_bytes()) for part in parts)
    assert merged.key.tolist() == np.unique(key).tolist()
    for one, first, count in zip(merged.key, merged.first_seen, merged.train_count, strict=True):
        assert first == time[key == one].min()
        assert count == training[key == one].sum()


def test_first_seen_of_unknown_items_is_never():
    seen = FirstSeen(np.array([3, 8]), np.array([100, 50]))
    assert seen.of(np.array([8, 3])).tolist() == [50, 100]
    assert (seen.of(np.array([0, 5, 9])) > 10**17).all()
    assert (FirstSeen(np.zeros(0, np.int64), np.zeros(0, np.int64)).of(np.array([1])) > 10**17).all()
