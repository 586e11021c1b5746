"""`ModelAdmin`: tells one server which versions to load, and asks it what became of them."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.client.ranking_client import RankingClient
from serving.client.version_status import VersionStatus
from tf_e2egrec.errors import E2EGRecError

_POLL_SECONDS = 0.1
# An earlier failure may still be shown until the server looks again, by default every second.
_SETTLE_SECONDS = 2.5
_NO_SUCH_LABEL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}


class ModelAdmin:
    """Manages one model on one server.

    Attributes:
      target: the server's gRPC address, `host:port`.
      client: for predictions.
    """

    def __init__(self, target: str, model_name: str, timeout: float = 30.0) -> None:
        """Open channels; nothing is sent yet.

        Args:
          target: the server's gRPC address.
          model_name: the model's name on the server.
          timeout: how long one call may take, seconds.
        """
        self.target = target
        self.model_name = model_name
        self.client = RankingClient(target, model_name, timeout=timeout)
        self._timeout = timeout
        self._channel = grpc.insecure_channel(target)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def states(self) -> dict[int, VersionStatus]:
        """Status by version, ascending; empty where the server does not know the model.

        Raises:
          E2EGRecError: the server cannot be reached.
        """
        try:
            found = self.client.model_status()
        except E2EGRecError as error:
            if (
                isinstance(error.__cause__, grpc.RpcError)
                and error.__cause__.code() == grpc.StatusCode.NOT_FOUND
            ):
                return {}
            raise
        return {status.version: status for status in sorted(found, key=lambda one: one.version)}

    def label(self, name: str) -> int | None:
        """The version that a label names on the server, None where it names none.

        Raises:
          E2EGRecError: the server cannot be reached.
        """
        # Of the metadata, not of the state: TensorFlow Serving overlooks a label in GetModelStatusRequest.
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.model_name
        request.model_spec.version_label = name
        try:
            response = self._prediction.GetModelMetadata(request, timeout=self._timeout)
        except grpc.RpcError as error:
            if error.code() in _NO_SUCH_LABEL:
                return None
            raise self._failed("cannot be asked for labels", error) from error
        return int(response.model_spec.version.value)

    def reload(self, config: Any) -> None:
        """Give the server a new configuration; versions are loaded after the call.

        Args:
          config: `ModelServerConfig` of all the models that it serves.

        Raises:
          E2EGRecError: it refuses, or cannot be reached.
        """
        request = model_management_pb2.ReloadConfigRequest(config=config)
        try:
            status = self._model.HandleReloadConfigRequest(request, timeout=self._timeout).status
        except grpc.RpcError as error:
            raise self._failed("did not take the configuration", error) from error
        if status.error_code:
            reason = " ".join(status.error_message.split())
            raise E2EGRecError(
                f"server {self.target} did not take the configuration ({status.error_code}): {reason}"
            )

    def wait_for(self, versions: Iterable[int], failed_before: Iterable[int], deadline: float) -> None:
        """Wait until versions are available.

        Args:
          versions: all that are needed.
          failed_before: those that had failed before the server was told to load them: it has some seconds to try again.
          deadline: of `time.monotonic()`.

        Raises:
          E2EGRecError: one of them failed to load, or was not there in time.
        """
        settled = time.monotonic() + _SETTLE_SECONDS
        wanted, old = set(versions), set(failed_before)
        while True:
            states = self.states()
            missing = sorted(
                version for version in wanted if not getattr(states.get(version), "available", False)
            )
            if not missing:
                return
            now = time.monotonic()
            for version in missing:
                status = states.get(version)
                if status is not None and status.failed and (version not in old or now >= settled):
                    reason = " ".join(status.error_message.split())
                    raise E2EGRecError(
                        f"version {version} of model {self.model_name} failed to load on {self.target}: {reason}"
                    )
            if now >= deadline:
                seen = ", ".join(
                    f"{one}: {states[one].state if one in states else 'unknown'}" for one in missing
                )
                raise E2EGRecError(
                    f"model {self.model_name} on {self.target} was not available in time ({seen}); look at the server's "
                    "log, or wait longer with --wait"
                )
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Close the channels."""
        self.client.close()
        self._channel.close()

    def __enter__(self) -> "ModelAdmin":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failed(self, what: str, error: Any) -> E2EGRecError:
        details = " ".join((error.details() or "").split())
        return E2EGRecError(f"server {self.target} {what} ({error.code().name}): {details}")
