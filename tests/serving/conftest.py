"""Tiny SavedModels, and servers to put them on."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from serving.client.ranking_client import RankingClient
from serving.running_server import RunningServer
from serving.server_command import BINARY_VARIABLE, start_server
from tests.serving.servers import MODEL

# By default TensorFlow Serving retries a failed load five times, a minute apart, before it gives the version
# up.
NO_RETRIES = "--max_num_load_retries=0"
BATCHING = Path(__file__).parents[2] / "serving/model_server/batching_parameters.txt"


class TinyModel(tf.Module):
    """`y = factor * x` and friends, and a `rank` signature whose outputs are easy to foretell."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = tf.Variable(factor)
        self.offsets = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant([0.0, 0.0])), 0.0
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def multiply(self, x: Any) -> dict[str, Any]:
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(x, 13.0, message="thirteen is unlucky")]
        ):
            y = self.factor * x + self.offsets.lookup(tf.cast(x, tf.int64))
        return {"y": y, "factor": tf.fill(tf.shape(x), self.factor)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="name"),
            tf.TensorSpec([None, None], tf.int64, name="keys"),
        ]
    )
    def describe(self, name: Any, keys: Any) -> dict[str, Any]:
        return {"text": tf.strings.join([name, tf.strings.as_string(tf.reduce_sum(keys, 1))], ":")}

    def _rank(self, **inputs: Any) -> dict[str, Any]:
        candidates = inputs["candidates"]
        keys = tf.strings.to_number(candidates, tf.int64) if candidates.dtype == tf.string else candidates
        reward = tf.cast(keys % 10, tf.float32) / 10.0
        known = tf.where(tf.math.is_nan(inputs["hour"]), 0.0, inputs["hour"])
        stay = (
            tf.zeros_like(reward)
            + known[:, tf.newaxis]
            + tf.cast(inputs["num_recent"], tf.float32)[:, tf.newaxis]
        )
        # Padding repeats some element: the real server may return more columns than were sent.
        return {"reward": reward, "stay_seconds": stay, "score": self.factor * reward}

    def rank_function(self, id_dtype: Any, recent_length: int | None) -> Any:
        spec = tf.TensorSpec
        return tf.function(self._rank).get_concrete_function(
            user_id=spec([None], id_dtype, name="user_id"),
            recent=spec([None, recent_length], id_dtype, name="recent"),
            num_recent=spec([None], tf.int32, name="num_recent"),
            candidates=spec([None, None], id_dtype, name="candidates"),
            num_candidates=spec([None], tf.int32, name="num_candidates"),
            hour=spec([None], tf.float32, name="hour"),
            device=spec([None], tf.string, name="device"),
            channel=spec([None], tf.int64, name="channel"),
        )


Export = Callable[..., Path]


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


@pytest.fixture
def export(base_path: Path) -> Export:
    """Write a version the way an exporter must: under another name first, then renamed."""

    def write(
        version: int,
        factor: float = 1.0,
        *,
        before_rename: Callable[[Path], object] | None = None,
        id_dtype: Any = tf.int64,
        recent_length: int | None = None,
        extra: Callable[[TinyModel], dict[str, Any]] | None = None,
    ) -> Path:
        model = TinyModel(factor)
        staging = base_path.parent / f"staging-{version}"
        signatures = {
            "serving_default": model.multiply,
            "describe": model.describe,
            "rank": model.rank_function(id_dtype, recent_length),
        }
        tf.saved_model.save(model, str(staging), signatures | (extra(model) if extra else {}))
        if before_rename is not None:
            before_rename(staging)
        target = base_path / str(version)
        if target.exists():
            shutil.rmtree(target)
        return staging.rename(target)

    return write


class Setup(NamedTuple):
    """One way to serve.

    Attributes:
      kind: as `start_server` takes it.
      is_batched: whether requests are joined into batches.
    """

    kind: str
    is_batched: bool = False


def skip_without_binary(kind: str) -> None:
    if kind == "tensorflow_serving" and not os.environ.get(BINARY_VARIABLE):
        pytest.skip(f"{BINARY_VARIABLE} names no binary")


@pytest.fixture(params=["development", "tensorflow_serving"])
def kind(request: pytest.FixtureRequest) -> str:
    """Every test that takes this runs on the real server too, where one is named."""
    skip_without_binary(request.param)
    return str(request.param)


@pytest.fixture(
    params=[
        Setup(kind, batched) for kind in ("development", "tensorflow_serving") for batched in (False, True)
    ],
    ids=lambda setup: f"{setup.kind}{'-batched' * setup.is_batched}",
)
def setup(request: pytest.FixtureRequest) -> Setup:
    """The same, with and without batching by the parameters of the deployment files."""
    skip_without_binary(request.param.kind)
    return request.param


@pytest.fixture
def start(setup: Setup, base_path: Path) -> Iterator[Callable[[], RunningServer]]:
    servers: list[RunningServer] = []

    def run() -> RunningServer:
        servers.append(
            start_server(
                base_path,
                MODEL,
                port=0,
                rest_port=0,
                kind=setup.kind,
                batching_parameters_file=BATCHING if setup.is_batched else None,
                extra_arguments=[NO_RETRIES],
            )
        )
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


@pytest.fixture
def client(start: Callable[[], RunningServer], export: Export) -> Iterator[RankingClient]:
    """A client of a server that serves version 1, factor 1."""
    export(1)
    with RankingClient(start().target, MODEL) as made:
        yield made


@pytest.fixture
def x() -> dict[str, np.ndarray]:
    return {"x": np.array([1.0, 2.0], np.float32)}
