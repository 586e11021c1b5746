"""`test_then_train`: nothing is learnt before it has been predicted, and everything is learnt in the end."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.stages import rolling

HOUR = 3_600_000


def batches(times):
    """One batch of two impressions per pair of times."""

    def graph(time):
        nodes = tfgnn.NodeSet.from_fields(features={"time": time}, sizes=tf.shape(time))
        return tfgnn.GraphTensor.from_pieces(node_sets={"_readout": nodes})

    data = tf.data.Dataset.from_tensor_slices(np.array(times, np.int64))
    return data.map(lambda time: (graph(time), {"reward": tf.cast(time, tf.float32)}))


@pytest.mark.parametrize("period", [HOUR, 3 * HOUR, FOREVER])
def test_each_step_sees_each_batch_once_and_after_its_prediction(period):
    times = [(0, 1), (2, HOUR + 1), (HOUR + 2, HOUR + 3), (5 * HOUR, 5 * HOUR), (6 * HOUR, 9 * HOUR)]
    events = []
    steps = [
        lambda graph, labels, name=name: events.append((name, int(labels["reward"][0]))) for name in "ab"
    ]
    for graph, _ in rolling.test_then_train(batches(times), steps, period):
        events.append(("predict", int(graph.node_sets["_readout"]["time"][0])))
    firsts = [first for first, _ in times]
    ends = dict(times)
    for name in ("predict", "a", "b"):
        assert [moment for who, moment in events if who == name] == firsts
    for name in "ab":
        for moment in firsts:
            learnt = events.index((name, moment))
            assert learnt > events.index(("predict", moment))
            for other in firsts:  # before the next period is predicted, and never within its own
                is_past = ends[moment] // period < other // period
                assert (learnt < events.index(("predict", other))) == is_past


def test_a_period_ends_with_the_data():
    learnt = []
    steps = [lambda graph, labels: learnt.append(int(labels["reward"][0]))]
    assert len(list(rolling.test_then_train(batches([(0, 1), (1, 2)]), steps, HOUR))) == 2
    assert learnt == [0, 1]
