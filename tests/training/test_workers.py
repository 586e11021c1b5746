"""Real processes on localhost: two workers train one model, and one of them dies in the middle."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.training.worker_run import clicks

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds
SEED_NOISE = 0.01  # of the AUC of 20,000 rows

pytestmark = pytest.mark.slow


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(folder, cluster, task, index, strategy="multi-worker", kill_at=None):
    environment = os.environ | {
        "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": task, "index": index}}),
        "GRPC_FAIL_FAST": "use_caller",
    }
    command = [sys.executable, "-m", "tests.training.worker_run", str(folder), strategy]
    command += [] if kill_at is None else [str(kill_at)]
    with (folder / f"log-{task}-{index}").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def addresses(count):
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


def run_job(folder, kill_at=None):
    """Start both workers until both succeed, as a job controller does: where one fails, all begin again."""
    folder.mkdir()
    attempts = 0
    while attempts < 3:
        attempts += 1
        cluster = {"worker": addresses(2)}
        workers = [start(folder, cluster, "worker", 0), start(folder, cluster, "worker", 1, kill_at=kill_at)]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not any(one.poll() for one in workers):
            if all(one.poll() == 0 for one in workers):
                return attempts
            time.sleep(0.2)
        for one in workers:
            one.kill()
            one.wait()
    raise AssertionError((folder / "log-worker-0").read_text()[-3000:])


def results(folder):
    return [dict(np.load(folder / f"worker-{index}.npz")) for index in (0, 1)]


def auc_of(result):
    ids, clicked = clicks(20_000, 99)
    return roc_auc_score(clicked, result["scores"][ids])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs") / "whole"
    assert run_job(folder) == 1
    return results(folder)


def test_all_workers_hold_the_same_weights_and_the_same_state_of_grad_norm(whole):
    assert set(whole[0]) == set(whole[1]) > {"task_weights", "slots", "statistics"}
    for name, value in whole[0].items():
        np.testing.assert_array_equal(whole[1][name], value, err_msg=name)
    assert whole[0]["steps"] == 80
    assert np.abs(whole[0]["task_weights"] - 1).max() > 0.01
    assert auc_of(whole[0]) > 0.75


def test_after_a_worker_was_killed_the_job_goes_on_and_ends_with_a_model_as_good(whole, tmp_path):
    folder = tmp_path / "killed"
    assert run_job(folder, kill_at=33) == 2
    found = results(folder)
    assert [tuple(one["start"]) for one in found] == [(1, 10)] * 2
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value, err_msg=name)
    assert found[0]["steps"] == 80
    assert abs(auc_of(found[0]) - auc_of(whole[0])) < SEED_NOISE
    np.testing.assert_allclose(found[0]["scores"], whole[0]["scores"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_killed", [False, True])
def test_parameter_servers_train_and_do_without_a_worker_that_was_killed(tmp_path, is_killed):
    """1 chief, 1 parameter server, 2 workers; the embedding table lies in two parts."""
    chief, ps, *workers = addresses(4)
    cluster = {"chief": [chief], "ps": [ps], "worker": workers}
    tasks = [("ps", 0), ("worker", 0), ("worker", 1), ("chief", 0)]
    processes = {task: start(tmp_path, cluster, *task, "parameter-server") for task in tasks}
    deadline = time.monotonic() + PATIENCE
    try:
        while processes["chief", 0].poll() is None and time.monotonic() < deadline:
            if is_killed and (tmp_path / "epoch-1").exists():
                is_killed = False
                processes["worker", 1].kill()
                processes["worker", 1].wait()
                processes["worker", 1] = start(tmp_path, cluster, "worker", 1, "parameter-server")
            time.sleep(0.2)
        assert processes["chief", 0].poll() == 0, (tmp_path / "log-chief-0").read_text()[-3000:]
    finally:
        for one in processes.values():
            one.kill()
            one.wait()
    assert not is_killed
    found = dict(np.load(tmp_path / "chief.npz"))
    assert 80 <= found["steps"] <= 160  # two workers' steps count as one where they overlap
    assert np.abs(found["task_weights"] - 1).max() > 0.01
    assert auc_of(found) > 0.75
