from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.warmup import MAX_WARMUP_RECORDS, WARMUP_FILE, read_warmup, write_warmup, write_warmup_requests
from tf_e2egrec.errors import E2EGRecError

BATCH = {"x": np.array([[1.0, 2.0]], np.float32), "name": np.array([b"a"], object)}


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "1" / WARMUP_FILE
    assert write_warmup(path, "tiny", "rank", [BATCH, BATCH]) == 2
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert len(logs) == 2
    request = logs[0].predict_log.request
    assert (request.model_spec.name, request.model_spec.signature_name) == ("tiny", "rank")
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["x"]), BATCH["x"])
    assert tf.make_ndarray(request.inputs["name"]).tolist() == [b"a"]
    again = tmp_path / "again"
    write_warmup(again, "tiny", "rank", [BATCH, BATCH])
    assert again.read_bytes() == path.read_bytes()


def test_a_thousand_pass_and_one_more_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "warmup"
    with pytest.raises(E2EGRecError, match="more than 1000"):
        write_warmup(path, "tiny", "rank", (BATCH for _ in range(MAX_WARMUP_RECORDS + 1)))
    assert list(tmp_path.iterdir()) == []
    assert (
        write_warmup(path, "tiny", "rank", (BATCH for _ in range(MAX_WARMUP_RECORDS))) == MAX_WARMUP_RECORDS
    )


def test_an_array_that_is_no_tensor_is_said(tmp_path: Path) -> None:
    with pytest.raises(E2EGRecError, match="warm-up record 1 cannot"):
        write_warmup(tmp_path / "warmup", "tiny", "rank", [{"x": np.array([object()])}])
    assert list(tmp_path.iterdir()) == []


def test_several_signatures_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_warmup(tmp_path) == []
    requests = [("rank", BATCH), ("embed", {"items": np.array([7, 8])}), ("", BATCH)]
    assert write_warmup_requests(tmp_path / WARMUP_FILE, "tiny", requests) == 3
    found = read_warmup(tmp_path)
    assert [one.signature for one in found] == ["rank", "embed", "serving_default"]
    for (_, expected), one in zip(requests, found, strict=True):
        assert one.inputs.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(one.inputs[name], values)


@pytest.mark.parametrize("spoil", [lambda content: content[:-3], lambda content: b"\x00" + content])
def test_a_damaged_file_is_said(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / WARMUP_FILE
    write_warmup(path, "tiny", "rank", [BATCH, BATCH])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(E2EGRecError, match=r"warm-up record \d cannot be read") as caught:
        read_warmup(tmp_path)
    assert "\n" not in str(caught.value)
