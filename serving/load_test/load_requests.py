"""What a load test sends: requests drawn from ids, or the warm-up records of an export."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.client.item_request import RETRIEVE_SIGNATURE, retrieve_inputs
from serving.client.prediction_messages import Version, address_request, predict_request
from serving.client.rank_request import RANK_SIGNATURE, rank_inputs
from serving.development_server.version_manager import find_versions
from serving.warmup import WARMUP_FILE
from tf_e2egrec.errors import E2EGRecError

REQUESTS = 64  # different ones; more would only cost time before the start
_STRANGERS = 10_000
_KEY_SPACE = 2**59  # from here on, keys are of items of other domains
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"
_TABLES = {"item": (f"item_table/keys/{_VALUE}", f"keys/{_VALUE}"), "user": (f"user_table/keys/{_VALUE}",)}


class Ids(NamedTuple):
    """Ids to draw from.

    Attributes:
      items, users: integers or text.
    """

    items: list[Any]
    users: list[Any]


class Shape(NamedTuple):
    """How large requests are.

    Attributes:
      candidates: of a ranking request.
      recent: recent items at most; histories of all lengths up to it.
    """

    candidates: int = 100
    recent: int = 20


def drawn_requests(
    model_name: str,
    signatures: dict[str, Any],
    ids: Ids,
    shape: Shape,
    version: Version = None,
    seed: int = 0,
) -> list[predict_pb2.PredictRequest]:
    """Requests to `rank`, or else to `retrieve`, of random users, histories and candidates; context is sent as missing.

    Args:
      model_name: the model's name on the server.
      signatures: `SignatureDef` messages by name.
      ids: to draw from, uniformly.
      shape: how large.
      version: of the model.
      seed: of the draw.

    Raises:
      E2EGRecError: the model has neither signature, or takes other ids.
    """
    random = np.random.default_rng(seed)

    def some(values: list[Any], count: int) -> list[Any]:
        return [values[place] for place in random.integers(0, len(values), count)]

    made = []
    for _ in range(REQUESTS):
        recent = some(ids.items, int(random.integers(0, shape.recent + 1)))
        if RANK_SIGNATURE in signatures:
            name = RANK_SIGNATURE
            candidates, user = some(ids.items, shape.candidates), some(ids.users, 1)[0]
            inputs = rank_inputs(signatures[name], user, candidates, recent)
        elif RETRIEVE_SIGNATURE in signatures:
            name = RETRIEVE_SIGNATURE
            inputs = retrieve_inputs(signatures[name], recent)
        else:
            raise E2EGRecError(
                f"model {model_name} has neither a rank nor a retrieve signature to draw requests for; replay the warm-up "
                "records of its export"
            )
        made.append(predict_request(model_name, inputs, name, version))
    return made


def takes_text(signatures: dict[str, Any], name: str = "recent") -> bool:
    """Whether ids in an input of `rank` or `retrieve` are text; False where there is neither."""
    for signature in (RANK_SIGNATURE, RETRIEVE_SIGNATURE):
        if signature in signatures and name in signatures[signature].inputs:
            return bool(signatures[signature].inputs[name].dtype == tf.string.as_datatype_enum)
    return False


def exported_ids(base: Path, what: str) -> list[int]:
    """Integer ids of the items or users that the newest version of an export knows; none where it keeps no table of them.

    Args:
      base: the model's base path.
      what: `item` or `user`.
    """
    reader = tf.train.load_checkpoint(str(newest_version(base) / "variables" / "variables"))
    for name in sorted(reader.get_variable_to_shape_map()):
        if name.endswith(_TABLES[what][0]) or name in _TABLES[what]:
            keys = reader.get_tensor(name)
            return [int(key) for key in keys[(keys >= 0) & (keys < _KEY_SPACE)]]
    return []


def stranger_ids(text: bool) -> list[Any]:
    """Ids that the model hardly knows."""
    return [f"stranger-{one}" for one in range(_STRANGERS)] if text else list(range(_STRANGERS))


def read_ids(path: Path, text: bool) -> list[Any]:
    """Ids of a text file, one per line.

    Raises:
      E2EGRecError: there is no such file, it holds no id, or one that is no integer where the model takes integers.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise E2EGRecError(
            f"{path} cannot be read ({error}); name a text file with one id per line"
        ) from None
    if not lines:
        raise E2EGRecError(f"{path} holds no id; write one per line")
    if text:
        return lines
    try:
        return [int(line) for line in lines]
    except ValueError as error:
        raise E2EGRecError(f"{path}: the model takes integer ids ({error})") from None


def recorded_requests(
    base: Path, model_name: str, version: Version = None
) -> list[predict_pb2.PredictRequest]:
    """The warm-up records of the newest version of an export, addressed to a model.

    Raises:
      E2EGRecError: it has none.
    """
    path = newest_version(base) / WARMUP_FILE
    if not path.exists():
        raise E2EGRecError(f"{path.parent.parent} brings no warm-up records to replay")
    made = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        address_request(request.model_spec, model_name, version)
        made.append(request)
    return made


def newest_version(base: Path) -> Path:
    """The directory of the newest version.

    Raises:
      E2EGRecError: there is none.
    """
    found = find_versions(base) if base.is_dir() else {}
    if not found:
        raise E2EGRecError(f"{base}: holds no version; give the directory above the versions")
    return found[max(found)]
