"""PredictionService of the development server."""

from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.development_server.request_error import RequestError
from serving.development_server.served_models import ServedModels

_SIGNATURES = "signature_def"


class PredictionServicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other calls answer UNIMPLEMENTED."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models

    def Predict(self, request: predict_pb2.PredictRequest, context: Any) -> predict_pb2.PredictResponse:  # noqa: N802
        """Run a signature; see `LoadedVersion.predict` for the errors."""
        try:
            _require_model_spec(request)
            with self._models.lease(request.model_spec) as version:
                return version.predict(request)
        except RequestError as error:
            _abort(context, error)

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Any
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Give the signatures of a version; "signature_def" is the only metadata field there is."""
        try:
            return model_metadata(self._models, request)
        except RequestError as error:
            _abort(context, error)

    def Classify(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        """Answer UNIMPLEMENTED."""
        _unimplemented(context, "Classify")

    def Regress(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        """Answer UNIMPLEMENTED."""
        _unimplemented(context, "Regress")

    def MultiInference(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        """Answer UNIMPLEMENTED."""
        _unimplemented(context, "MultiInference")


def model_metadata(
    models: ServedModels, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answer a GetModelMetadataRequest.

    Raises:
      RequestError: INVALID_ARGUMENT without a model or with other fields than "signature_def", otherwise as
        `ServedModels.lease`.
    """
    _require_model_spec(request)
    _check_fields(list(request.metadata_field))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with models.lease(request.model_spec) as version:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in version.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version.version
        response.metadata[_SIGNATURES].Pack(signatures)
    return response


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def _check_fields(fields: list[str]) -> None:
    if not fields:
        message = "GetModelMetadataRequest must specify at least one metadata_field"
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
    unknown = [field for field in fields if field != _SIGNATURES]
    if unknown:
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, f"Metadata field {unknown[0]} is not supported")


def _abort(context: Any, error: RequestError) -> NoReturn:
    context.abort(error.code, error.message)
    raise AssertionError("abort always raises")


def _unimplemented(context: Any, call: str) -> NoReturn:
    _abort(
        context,
        RequestError(grpc.StatusCode.UNIMPLEMENTED, f"the development server has no {call}: use Predict"),
    )
