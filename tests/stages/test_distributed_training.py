"""`e2egrec train --strategy ...` with real processes: as good as one process, the same everywhere, and it survives a killed worker."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.job import e2egrec, rewrite
from tests.stages.train_process import STATE
from tests.training.test_workers import addresses
from tf_e2egrec.stages.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # seconds
SEED_NOISE = 0.005  # of the validation AUC

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training left."""

    processes: list[dict[str, np.ndarray]]
    said: list[str]
    manifest: dict
    model: Path
    attempts: int

    @property
    def auc(self) -> float:
        return self.manifest["details"]["valid_auc"]


@pytest.fixture(scope="module")
def description(data, tmp_path_factory):
    """Two epochs of several steps, the last of which are not full."""

    def change(content):
        content["training"].update(epochs=2, patience=2, batch_size=250, models=["R5"])
        content["model"].update(dropout=0.0)  # each replica draws its own

    return rewrite(data, change, tmp_path_factory.mktemp("distributed") / "changed.yaml")


@pytest.fixture(scope="module")
def trained(description, data, job, tmp_path_factory):
    """A function that trains with a strategy, in a run directory with the same subgraphs."""

    def train(strategy, workers=1, devices=1, kill_at=0):
        folder = tmp_path_factory.mktemp(strategy)
        run = folder / "run"
        run.mkdir()
        for name in ("graph", "subgraphs", "dataset.yaml"):
            (run / name).symlink_to(job[0] / name)
        arguments = ["train", description, "--data", data.parent, "--out", run, "--strategy", strategy]
        attempts = 0
        while not (run / "models" / "R5" / "seed-0" / "manifest.json").exists():
            attempts += 1
            assert attempts < 4, "".join(path.read_text()[-3000:] for path in folder.glob("*.log"))
            run_processes(folder, workers, devices, kill_at, list(map(str, arguments)))
        model = RunDirectory(run).model("R5", 0)
        return Trained(
            processes=[dict(np.load(folder / f"process-{i}.npz")) for i in range(workers)],
            said=[(folder / f"process-{i}.txt").read_text() for i in range(workers)],
            manifest=json.loads((model / "manifest.json").read_text()),
            model=model,
            attempts=attempts,
        )

    return train


def run_processes(folder, workers, devices, kill_at, arguments):
    """Start all of them; when one fails, so do the others, as a job controller sees to."""
    cluster = {"worker": addresses(workers)}
    processes = []
    for index in range(workers):
        environment = os.environ | {"GRPC_FAIL_FAST": "use_caller"}
        if workers > 1:
            config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(config)
        command = [sys.executable, "-m", "tests.stages.train_process", folder, devices]
        command += [kill_at if index == workers - 1 else 0, *arguments]
        with (folder / f"process-{index}.log").open("ab") as log:
            processes.append(
                subprocess.Popen(list(map(str, command)), cwd=ROOT, env=environment, stdout=log, stderr=log)
            )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(one.poll() is None for one in processes):
        if any(one.poll() for one in processes):
            break
        time.sleep(0.2)
    for one in processes:
        one.kill()
        one.wait()


@pytest.fixture(scope="module")
def alone(trained):
    return trained("none")


@pytest.fixture(scope="module")
def workers(trained):
    return trained("multi-worker", workers=2)


def same_state(processes):
    for name, value in processes[0].items():
        np.testing.assert_array_equal(processes[1][name], value, err_msg=name)
    assert set(STATE) < set(processes[0])


def as_good(found, alone):
    """The batches are the same, so the runs differ by the rounding of sums."""
    assert found.manifest["fingerprint"] == alone.manifest["fingerprint"]
    assert abs(found.auc - alone.auc) < SEED_NOISE
    ours, theirs = found.processes[0], alone.processes[0]
    assert ours["steps"] == theirs["steps"]
    np.testing.assert_allclose(ours["initial_losses"], theirs["initial_losses"], rtol=1e-3)
    np.testing.assert_allclose(ours["task_weights"], theirs["task_weights"], atol=2e-3)
    assert np.abs(theirs["task_weights"] - 1).max() > 0.05


def test_two_devices_of_one_process_are_as_good_as_one(trained, alone):
    found = trained("mirrored", devices=2)
    assert found.manifest["details"]["replicas"] == 2
    assert found.attempts == 1
    as_good(found, alone)


def test_two_workers_are_as_good_as_one_and_hold_the_same_state(workers, alone):
    assert workers.manifest["details"]["replicas"] == 2
    assert workers.attempts == 1
    same_state(workers.processes)
    as_good(workers, alone)
    left = {path.name for path in workers.model.parent.iterdir()}
    assert left == {"seed-0"}  # neither a checkpoint nor what the second worker wrote
    assert {"history.json", "task_weights.json", "tensorboard"} < {p.name for p in workers.model.iterdir()}


def test_after_a_worker_was_killed_the_job_goes_on_and_ends_as_if_nothing_had_happened(
    trained, workers, alone
):
    found = trained("multi-worker", workers=2, kill_at=17)
    assert found.attempts == 2
    assert all(re.search(r"goes on at epoch 2, after \d+ steps", said) for said in found.said)
    same_state(found.processes)
    as_good(found, alone)
    assert abs(found.auc - workers.auc) < 1e-3


def test_a_cascade_is_refused(description, data, run_copy):
    done = e2egrec(
        "train",
        description,
        "--data",
        data.parent,
        "--out",
        run_copy,
        "--models",
        "R2",
        "--strategy",
        "mirrored",
    )
    assert done.code == 2
    assert "R2 pretrains a graph neural network, which is done by one replica" in done.err
