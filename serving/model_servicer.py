"""ModelService of the development server."""

from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.request_error import RequestError
from serving.version_manager import VersionManager

_STATES = get_model_status_pb2.ModelVersionStatus.State


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; a change of the configuration answers UNIMPLEMENTED."""

    def __init__(self, versions: VersionManager) -> None:
        self._versions = versions

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Any
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Give the state of every version, newest first, or of the version asked for."""
        response = get_model_status_pb2.GetModelStatusResponse()
        try:
            if not request.HasField("model_spec"):
                raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
            for status in self._versions.statuses(request.model_spec):
                message = response.model_version_status.add()
                message.version = status.version
                message.state = _STATES.Value(status.state)
                message.status.error_code = status.error_code
                message.status.error_message = status.error_message
        except RequestError as error:
            context.abort(error.code, error.message)
        return response

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        """Answer UNIMPLEMENTED."""
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "the development server serves the one model it was started with: restart it instead",
        )
        raise AssertionError("abort always raises")
