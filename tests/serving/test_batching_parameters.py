import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.batching_parameters import PER_MODEL_FILE, BatchingParameters
from serving.client.ranking_client import RankingClient
from serving.development_server.development_server import DevelopmentServer
from tests.serving.conftest import BATCHING
from tests.serving.servers import MODEL
from tf_e2egrec.errors import E2EGRecError


def test_the_deployment_file_is_read() -> None:
    parameters = BatchingParameters.read(BATCHING)
    assert parameters.pad_variable_length_inputs
    assert parameters.max_batch_size == parameters.allowed_batch_sizes[-1]
    assert parameters.batch_timeout_micros > 0


def test_what_is_left_out_has_the_servers_defaults(tmp_path: Path) -> None:
    path = tmp_path / "batching.txt"
    path.write_text("# nothing but a pool\nthread_pool_name { value: 'pool' }\n")
    assert BatchingParameters.read(path) == BatchingParameters(1000, 0, 10, os.cpu_count() or 1, (), False)
    path.write_text("max_batch_size { value: 6 } allowed_batch_sizes: 2 allowed_batch_sizes: 6")
    parameters = BatchingParameters.read(path)
    assert [parameters.padded_size(rows) for rows in range(8)] == [2, 2, 2, 6, 6, 6, 6, 7]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_batch_sizes { value: 3 }", "no batching parameters .*write them like"),
        ("max_batch_size: 3", "no batching parameters"),
        ("max_batch_size { value: 0 }", "at least 1"),
        ("allowed_batch_sizes: 0 allowed_batch_sizes: 1000", "at least 1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros is negative"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: 2", "end with max_batch_size, 4"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [4, 2, 4]", "must ascend"),
        ("enable_large_batch_splitting { value: true }", "does not split requests"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "batching.txt"
    path.write_text(text)
    with pytest.raises(E2EGRecError, match=sentence):
        BatchingParameters.read(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(E2EGRecError, match="cannot be read"):
        BatchingParameters.read(tmp_path / "nothing")


def test_parameters_of_a_version(base_path: Path, export: Any) -> None:
    """Version 2 brings parameters that batch, and those of version 3 are no parameters."""

    def bring(text: str) -> Callable[[Path], object]:
        return lambda directory: (directory / PER_MODEL_FILE).write_text(text)

    export(1)
    two = {"x": np.ones(2, np.float32)}
    with (
        DevelopmentServer(base_path, MODEL, port=0, poll_seconds=0.1, batching_per_model=True) as server,
        RankingClient(server.target, MODEL) as client,
    ):
        assert client.predict(two, "serving_default")["y"].shape == (2,)
        export(2, before_rename=bring("max_batch_size { value: 1 }"))
        client.wait_until_available(20, 2)
        with pytest.raises(E2EGRecError, match="Task size 2 is larger than maximum input batch size 1"):
            client.predict(two, "serving_default")
        export(3, before_rename=bring("max_batch_size: 1"))
        with pytest.raises(E2EGRecError, match="no batching parameters"):
            client.wait_until_available(20, 3)
