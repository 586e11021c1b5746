"""Which positives recall is measured on, under which graph, and how."""

import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.dataset.split import moment_to_ms
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.retrieval_recall import (
    Positives,
    recall,
    snapshot_before_validation,
    validation_positives,
)
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files


@pytest.fixture(scope="module")
def run(job):
    return RunDirectory(job[0])


def columns(run, *names):
    dtypes = {name: tf.float32 if name == "reward" else tf.int64 for name in names}
    batches = list(readout_columns(record_files(run.subgraphs, "valid"), dtypes).as_numpy_iterator())
    return [np.concatenate([batch[name] for batch in batches]) for name in names]


def test_positives_are_the_rewarded_rows_of_the_validation_split(run):
    items, reward = columns(run, "item_id", "reward")
    batches = list(validation_positives(run, run.description()))
    found = np.concatenate([batch.items for batch in batches])
    np.testing.assert_array_equal(found, items[reward > 0.5])
    assert 0 < len(found) < len(items)
    for batch in batches:
        listed = np.arange(batch.recent.shape[1]) < batch.num_recent[:, np.newaxis]
        assert (batch.recent[listed] >= 0).all()
        assert (batch.recent[~listed] == -1).all()
        assert not (batch.recent == batch.items[:, np.newaxis]).any()
    assert max(batch.num_recent.max() for batch in batches) > 1


def test_the_graph_has_seen_none_of_the_rows_and_is_the_latest_such(run):
    description = run.description()
    plan = SnapshotPlan.from_description(description)
    snapshot = snapshot_before_validation(run, description)
    earliest = columns(run, "time")[0].min()
    assert plan.window_of(snapshot)[1] <= earliest < plan.window_of(snapshot + 1)[1]
    assert earliest >= moment_to_ms(description.split.train_until)


def test_recall_counts_what_is_found():
    keys = np.arange(10)
    angle = np.linspace(0, 3, 10)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    module = RetrievalModule(keys, vectors, vectors, popularity=np.arange(10), k=2)
    positives = Positives(
        items=np.array([1, 9, 9, 8, 77]),
        recent=np.array([[0, -1], [0, -1], [9, 8], [-1, -1], [55, -1]]),
        num_recent=np.array([1, 1, 2, 0, 1], np.int32),
    )
    # 0 -> 1, 2 (a hit); 0 -> 1, 2; 9, 8 -> never 9; nothing -> 9, 8 (a hit); 77 is no item.
    found = recall(module, iter([positives, positives]))
    assert found._replace(found=0, popular=0, chance=0) == (2, 10, 6, 0, 0, 0)
    assert found.found == pytest.approx(2 / 5)
    # Popular: 9, 8 for all; 9 is left out where it was seen.
    assert found.popular == pytest.approx(2 / 5)
    assert found.chance == pytest.approx(0.2)
    assert found.standard_error == pytest.approx((0.4 * 0.6 / 10) ** 0.5)


def test_recall_of_nothing():
    module = RetrievalModule(np.arange(3), np.eye(3), np.eye(3), np.ones(3), 2)
    found = recall(module, iter([]))
    assert (found.rows, found.found) == (0, 0.0)
    assert np.isnan(found.standard_error)
