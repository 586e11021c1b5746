"""What tests of servers share."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from serving.client.ranking_client import RankingClient

MODEL = "tiny"


def code(error: BaseException) -> grpc.StatusCode:
    """The status that a client's error came with."""
    cause = error.__cause__
    assert isinstance(cause, grpc.RpcError)
    return cause.code()


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def states(client: RankingClient) -> dict[int, str]:
    return {status.version: status.state for status in client.model_status()}


def factor(client: RankingClient, version: int | str | None = None) -> float:
    """Which version of the tiny model answers: version v of the tests has the factor v."""
    return float(client.predict({"x": np.ones(1, np.float32)}, "serving_default", version)["factor"][0])


def model_config(
    base_path: Path,
    versions: Sequence[int] = (),
    labels: Mapping[str, int] | None = None,
    name: str = MODEL,
    **policy: Any,
) -> Any:
    """A model_config_list of one model, with specific versions where some are given."""
    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add(
        name=name, base_path=str(base_path), model_platform="tensorflow"
    )
    if versions:
        model.model_version_policy.specific.versions.extend(versions)
    for choice, fields in policy.items():
        getattr(model.model_version_policy, choice).SetInParent()
        for field, value in fields.items():
            setattr(getattr(model.model_version_policy, choice), field, value)
    model.version_labels.update(labels or {})
    return config


def write_config(path: Path, config: Any) -> Path:
    staging = path.with_suffix(".tmp")
    staging.write_text(text_format.MessageToString(config))
    return staging.replace(path)


def reload(target: str, config: Any) -> Any:
    """HandleReloadConfigRequest."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.CopyFrom(config)
    with grpc.insecure_channel(target) as channel:
        return model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=30)


def refused_reload(target: str, config: Any) -> tuple[grpc.StatusCode, str]:
    """Code and message that a configuration is refused with."""
    try:
        reload(target, config)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the configuration was taken")
