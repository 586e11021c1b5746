"""Broken new versions and warm-up, on the development server and on TensorFlow Serving alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.client.ranking_client import RankingClient
from serving.warmup import MAX_WARMUP_RECORDS, WARMUP_FILE, write_warmup
from tests.serving.servers import MODEL, states, wait_for
from tf_e2egrec.errors import E2EGRecError


def _truncate(directory: Path) -> None:
    path = directory / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:100])


def _wrong_dtype(directory: Path) -> None:
    write_warmup(directory / WARMUP_FILE, MODEL, "serving_default", [{"x": np.zeros(1, np.int64)}])


def _wrong_signature(directory: Path) -> None:
    write_warmup(directory / WARMUP_FILE, MODEL, "absent", [{"x": np.zeros(1, np.float32)}])


def _failing_call(directory: Path) -> None:
    good, bad = np.zeros(1, np.float32), np.full(1, 13, np.float32)
    write_warmup(directory / WARMUP_FILE, MODEL, "serving_default", [{"x": good}, {"x": bad}])


def _compressed(directory: Path) -> None:
    _good_warmup(directory)
    path = directory / WARMUP_FILE
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)


def _too_many(directory: Path) -> None:
    _good_warmup(directory)
    path = directory / WARMUP_FILE
    record = next(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(MAX_WARMUP_RECORDS + 1):
            writer.write(record)


def _good_warmup(directory: Path) -> None:
    write_warmup(
        directory / WARMUP_FILE, "another-name", "serving_default", [{"x": np.zeros(1, np.float32)}] * 3
    )


@pytest.mark.parametrize(
    "spoil", [_truncate, _wrong_dtype, _wrong_signature, _failing_call, _compressed, _too_many]
)
def test_a_broken_version_leaves_the_old_one_serving(
    start: Any, export: Any, x: dict[str, np.ndarray], spoil: Callable[[Path], None]
) -> None:
    export(1)
    with RankingClient(start().target, MODEL) as client:
        export(2, factor=2.0, before_rename=spoil)
        wait_for(lambda: states(client).get(2) == "END")
        status = client.model_status()[0]
        assert status.version == 2
        assert status.failed
        assert status.error_message
        assert client.predict(x, "serving_default")["factor"].tolist() == [1.0, 1.0]
        with pytest.raises(E2EGRecError, match="failed to load"):
            client.wait_until_available(15, version=2)
        export(3, factor=3.0, before_rename=_good_warmup)
        client.wait_until_available(15, 3)
        assert client.predict(x, "serving_default")["factor"].tolist() == [3.0, 3.0]


def _counting_signature(model: Any) -> dict[str, Any]:
    """Answers how often it was called since the version was loaded."""
    model.calls = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def count(x: Any) -> dict[str, Any]:
        return {"calls": tf.zeros_like(x) + model.calls.assign_add(1.0)}

    model.count = count
    return {"count": count}


def test_warm_up_runs_every_record_before_the_first_request(start: Any, export: Any) -> None:
    def warm(directory: Path) -> None:
        write_warmup(directory / WARMUP_FILE, "any", "count", [{"x": np.zeros(1, np.float32)}] * 3)

    one = {"x": np.zeros(1, np.float32)}
    export(1, extra=_counting_signature)
    with RankingClient(start().target, MODEL) as client:
        assert client.predict(one, "count")["calls"].tolist() == [1.0]
        export(2, extra=_counting_signature, before_rename=warm)
        client.wait_until_available(20, 2)
        assert client.predict(one, "count", version=2)["calls"].tolist() == [4.0]
