"""Warm-up records: requests a server replays before a version takes traffic."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from tf_e2egrec.errors import E2EGRecError

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
"""Where a server looks for the records, relative to a version's directory."""

MAX_WARMUP_RECORDS = 1000
"""TensorFlow Serving refuses a version whose file holds more."""


class WarmupRequest(NamedTuple):
    """One record.

    Attributes:
      signature: the signature that it calls.
      inputs: array by input name.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]


def _record(model_name: str, signature_name: str, batch: Mapping[str, np.ndarray]) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature_name
    for name, array in batch.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return log.SerializeToString(deterministic=True)


def write_warmup(
    path: str | Path, model_name: str, signature_name: str, batches: Iterable[Mapping[str, np.ndarray]]
) -> int:
    """Write warm-up records of one signature, as `write_warmup_requests` writes those of several.

    Args:
      path: as there.
      model_name: as there.
      signature_name: the signature every record calls.
      batches: one mapping from input name to array per record, dtypes and shapes as in the signature.

    Returns:
      The number of records written.

    Raises:
      E2EGRecError: as there.
    """
    return write_warmup_requests(path, model_name, (WarmupRequest(signature_name, one) for one in batches))


def write_warmup_requests(
    path: str | Path, model_name: str, requests: Iterable[tuple[str, Mapping[str, np.ndarray]]]
) -> int:
    """Write warm-up records as an uncompressed TFRecord file of `PredictionLog` messages.

    A few records are enough: one per allowed batch size and length of the candidate list, since every record
    is a full call (and under batching waits for `batch_timeout_micros`). The file appears whole or not at
    all.

    Args:
      path: the file to write, `<version directory>/assets.extra/tf_serving_warmup_requests`; missing folders
        are made.
      model_name: name in the records; servers do not compare it with theirs.
      requests: (signature's name, array by input name) of each record, dtypes and shapes as in the signature.

    Returns:
      The number of records written.

    Raises:
      E2EGRecError: there are more than `MAX_WARMUP_RECORDS` records, or an array TensorFlow has no dtype for.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(target.name + ".tmp")
    count = 0
    try:
        with tf.io.TFRecordWriter(str(staging)) as writer:
            for signature, inputs in requests:
                if count == MAX_WARMUP_RECORDS:
                    raise E2EGRecError(
                        f"{target}: more than {MAX_WARMUP_RECORDS} warm-up records, "
                        "and TensorFlow Serving refuses a version with more: pass fewer batches"
                    )
                writer.write(_record(model_name, signature, inputs))
                count += 1
        staging.replace(target)
    except (TypeError, ValueError) as error:
        raise E2EGRecError(f"{target}: warm-up record {count + 1} cannot become tensors: {error}") from error
    finally:
        staging.unlink(missing_ok=True)
    return count


def read_warmup(directory: str | Path) -> list[WarmupRequest]:
    """Read the warm-up records of a version.

    Args:
      directory: the version's directory.

    Returns:
      The requests in their order; none where there is no file.

    Raises:
      E2EGRecError: the file is damaged, or holds something else.
    """
    path = Path(directory) / WARMUP_FILE
    if not path.exists():
        return []
    requests = []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {name: np.asarray(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
            requests.append(WarmupRequest(request.model_spec.signature_name or "serving_default", inputs))
    except (tf.errors.DataLossError, DecodeError, TypeError, ValueError) as error:
        raise E2EGRecError(
            f"{path}: warm-up record {len(requests) + 1} cannot be read ({type(error).__name__})"
        ) from error
    return requests
