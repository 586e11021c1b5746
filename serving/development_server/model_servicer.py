"""ModelService of the development server."""

from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, model_service_pb2_grpc

from serving.development_server.request_error import RequestError
from serving.development_server.served_models import ServedModels

_STATES = get_model_status_pb2.ModelVersionStatus.State


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, models: ServedModels, poll_soon: Callable[[], object]) -> None:
        """Answer for models.

        Args:
          models: what is served.
          poll_soon: called after a new configuration, so that its versions are loaded without delay.
        """
        self._models = models
        self._poll_soon = poll_soon

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Any
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Give the state of every version, newest first, or of the version asked for."""
        try:
            return model_status(self._models, request)
        except RequestError as error:
            context.abort(error.code, error.message)
            raise AssertionError("abort always raises") from error

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: Any
    ) -> model_management_pb2.ReloadConfigResponse:
        """Take a new configuration; see `ServedModels.reload` for the errors."""
        try:
            self._models.reload(request.config)
        except RequestError as error:
            context.abort(error.code, error.message)
        finally:
            self._poll_soon()  # a refused label does not stop the versions that came with it
        return model_management_pb2.ReloadConfigResponse()


def model_status(
    models: ServedModels, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """Answer a GetModelStatusRequest.

    Raises:
      RequestError: INVALID_ARGUMENT without a model, otherwise as `ServedModels.statuses`.
    """
    if not request.HasField("model_spec"):
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in models.statuses(request.model_spec):
        message = response.model_version_status.add()
        message.version = status.version
        message.state = _STATES.Value(status.state)
        message.status.error_code = status.error_code
        message.status.error_message = status.error_message
    return response
