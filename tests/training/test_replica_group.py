"""What does without several processes; tests/stages/test_distributed_training.py has those."""

import json

import pytest
import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.training import Checkpoints, ReplicaGroup


def test_one_replica_writes_everything_and_sees_whole_batches(tmp_path):
    group = ReplicaGroup()
    assert (group.replicas, group.is_chief, group.strategy) == (1, True, None)
    shares = []
    data = group.distributed(lambda share: shares.append(share) or tf.data.Dataset.range(3))
    assert list(data.as_numpy_iterator()) == [0, 1, 2]
    assert shares[0].bounds(0, 10) == (0, 10)
    assert group.steps(rows=11, batch_size=5) == 3
    assert type(group.checkpoints(tmp_path / "c", "a", 5)) is Checkpoints
    with group.published(tmp_path / "target") as staging:
        (staging / "a").touch()
    assert (tmp_path / "target" / "a").exists()


@pytest.mark.parametrize(
    "said",
    [
        None,
        "no JSON",
        json.dumps({"cluster": {"worker": ["a:1"]}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}),
        json.dumps({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_workers_without_a_usable_configuration_are_refused(monkeypatch, said):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if said is not None:
        monkeypatch.setenv("TF_CONFIG", said)
    with pytest.raises(E2EGRecError, match=r"needs the environment variable TF_CONFIG, such as .*Received: "):
        ReplicaGroup("multi-worker")


def test_an_error_of_a_single_process_stays_what_it_is():
    with pytest.raises(tf.errors.InternalError), ReplicaGroup().naming_lost_workers():
        raise tf.errors.InternalError(None, None, "ours")
