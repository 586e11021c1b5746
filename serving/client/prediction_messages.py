"""Arrays to messages of TensorFlow Serving, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.client.version_status import VersionStatus
from tf_e2egrec.errors import E2EGRecError

Version = int | str | None
"""A version number, a version label, or None for the newest."""

_STATES = get_model_status_pb2.ModelVersionStatus.State
_SIGNATURES = "signature_def"


def predict_request(
    model_name: str, inputs: Mapping[str, np.ndarray], signature: str, version: Version = None
) -> predict_pb2.PredictRequest:
    """A request to a signature.

    Args:
      model_name: the model's name on the server.
      inputs: arrays by input name, dtypes and shapes as in the signature.
      signature: its name.
      version: which version.

    Raises:
      E2EGRecError: an array cannot become a tensor.
    """
    request = predict_pb2.PredictRequest()
    address_request(request.model_spec, model_name, version)
    request.model_spec.signature_name = signature
    for name, array in inputs.items():
        try:
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        except (TypeError, ValueError) as error:
            raise E2EGRecError(f"input {name} cannot become a tensor: {error}") from error
    return request


def output_arrays(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """Arrays by output name; strings come as bytes."""
    return {name: np.asarray(tf.make_ndarray(proto)) for name, proto in response.outputs.items()}


def answering_version(response: predict_pb2.PredictResponse) -> int:
    """The version that answered."""
    return int(response.model_spec.version.value)


def metadata_request(
    model_name: str, version: Version = None
) -> get_model_metadata_pb2.GetModelMetadataRequest:
    """A request for the signatures of a version."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[_SIGNATURES])
    address_request(request.model_spec, model_name, version)
    return request


def signatures_in(response: get_model_metadata_pb2.GetModelMetadataResponse, target: str) -> dict[str, Any]:
    """`SignatureDef` messages by name, without those that TensorFlow keeps for itself.

    Raises:
      E2EGRecError: the answer is not readable.
    """
    signatures = get_model_metadata_pb2.SignatureDefMap()
    try:
        response.metadata[_SIGNATURES].Unpack(signatures)
    except DecodeError as error:
        raise E2EGRecError(f"{target} answered with unreadable metadata") from error
    return {name: one for name, one in signatures.signature_def.items() if not name.startswith("__")}


def status_request(model_name: str) -> get_model_status_pb2.GetModelStatusRequest:
    """A request for the states of all versions."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model_name
    return request


def version_statuses(response: get_model_status_pb2.GetModelStatusResponse) -> list[VersionStatus]:
    """One status per version, newest first."""
    statuses = [
        VersionStatus(
            int(message.version),
            _STATES.Name(message.state),
            int(message.status.error_code),
            message.status.error_message,
        )
        for message in response.model_version_status
    ]
    return sorted(statuses, key=lambda status: status.version, reverse=True)


def address_request(spec: Any, model_name: str, version: Version = None) -> None:
    """Say in a `ModelSpec` which model and version is asked; the signature stays as it is."""
    spec.ClearField("version_choice")
    spec.name = model_name
    if isinstance(version, str):
        spec.version_label = version
    elif version is not None:
        spec.version.value = version
