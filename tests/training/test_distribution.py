"""`Model.fit` under MirroredStrategy with two virtual CPU devices equals one replica with the same global batch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TABLES = ("chained", "embedding", "embedding-adagrad")
GRAPHS = ("R3", "R5")


def run(folder, kinds):
    command = [sys.executable, "-m", "tests.training.replica_run", str(folder), *kinds]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def compare(kind, folder):
    one, two = (dict(np.load(folder / f"{kind}-{replicas}.npz")) for replicas in (1, 2))
    assert (one.pop("replicas"), two.pop("replicas")) == (1, 2)
    assert set(one) == set(two) > {"loss", "task_weights", "initial_losses"}
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=2e-4, atol=2e-5, err_msg=name)
    if kind != "R3":  # which has one task
        assert np.abs(one["task_weights"] - 1).max() > 0.01


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return run(tmp_path_factory.mktemp("tables"), TABLES)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return run(tmp_path_factory.mktemp("graphs"), GRAPHS)


@pytest.mark.parametrize("kind", TABLES)
def test_two_replicas_equal_one(kind, tables):
    compare(kind, tables)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRAPHS)
def test_two_replicas_with_graphs_of_other_sizes_equal_one(kind, graphs):
    compare(kind, graphs)
