"""Client of an exported model: works with TensorFlow Serving and the development server alike."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.fresh_inputs import RANK_FRESH_SIGNATURE
from serving.fresh_item import FreshItem
from serving.rank_request import RANK_SIGNATURE, rank_inputs
from serving.ranked_candidates import RankedCandidates
from serving.version_status import VersionStatus
from tf_e2egrec.errors import E2EGRecError

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
FIRST_BACKOFF_SECONDS = 0.1
_POLL_SECONDS = 0.1
_STATES = get_model_status_pb2.ModelVersionStatus.State
_ADVICE: dict[grpc.StatusCode, str] = {
    grpc.StatusCode.UNAVAILABLE: "cannot be reached: start it, or correct the address",
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time: raise the timeout, or send fewer candidates",
    grpc.StatusCode.NOT_FOUND: "does not serve this model or version",
    grpc.StatusCode.INVALID_ARGUMENT: "refused the request",
    grpc.StatusCode.FAILED_PRECONDITION: "cannot answer this request",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "is overloaded, or a message is larger than allowed",
    grpc.StatusCode.UNIMPLEMENTED: "does not offer this call",
}


class RankingClient:
    """Calls one model on one server; safe to share between threads.

    A call may be repeated: predictions change nothing on the server. UNAVAILABLE is retried with exponential
    backoff.
    """

    def __init__(
        self,
        target: str,
        model_name: str,
        timeout: float = 5.0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        retries: int = 2,
        *,
        retry_resource_exhausted: bool = False,
    ) -> None:
        """Open a channel; nothing is sent yet.

        Args:
          target: the server's gRPC address, `host:port`.
          model_name: the model's name on the server.
          timeout: how long one call may take with all its retries, seconds.
          max_message_bytes: largest request and response, bytes; gRPC's own limit for responses is 4 MiB.
          retries: how often a call is repeated after UNAVAILABLE.
          retry_resource_exhausted: repeat after RESOURCE_EXHAUSTED too, which TensorFlow Serving answers when
            all its threads are busy.
        """
        self.target = target
        self.model_name = model_name
        self._timeout = timeout
        self._retries = retries
        self._retried = {grpc.StatusCode.UNAVAILABLE}
        if retry_resource_exhausted:
            self._retried.add(grpc.StatusCode.RESOURCE_EXHAUSTED)
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                # A channel that lost its server fails every call until it tries to connect again, by default
                # after 1 s and more.
                ("grpc.initial_reconnect_backoff_ms", int(FIRST_BACKOFF_SECONDS * 1000)),
                ("grpc.min_reconnect_backoff_ms", int(FIRST_BACKOFF_SECONDS * 1000)),
                ("grpc.max_reconnect_backoff_ms", 2000),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._lock = threading.Lock()
        self._rank_signatures: dict[tuple[str, int | str | None], Any] = {}

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = RANK_SIGNATURE,
        version: int | str | None = None,
    ) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
          inputs: arrays by input name, dtypes and shapes as in the signature.
          signature: the signature's name.
          version: version number, or a version label as a string; None for the newest.

        Returns:
          Arrays by output name; strings come as bytes.

        Raises:
          E2EGRecError: the call failed, said in one sentence; its `__cause__` is the `grpc.RpcError`, where
            there is one.
        """
        return _arrays(self._predict(inputs, signature, version))

    def rank(
        self,
        user_id: int | str,
        candidates: Sequence[int | str],
        recent: Sequence[int | str] = (),
        context: Mapping[str, Any] | None = None,
        version: int | str | None = None,
        fresh: Sequence[FreshItem] = (),
    ) -> RankedCandidates:
        """Rank candidates for a user.

        Args:
          user_id: the user; integer or string as in the model's signature, which is read from the server
            once.
          candidates: item ids to rank, at least one.
          recent: item ids the user engaged with, newest first.
          context: value by context feature; what is left out is sent as missing (NaN, -1 or "").
          version: version number, or a version label as a string; None for the newest.
          fresh: candidates that the export does not know, or knows otherwise, with their features and neighbours.

        Returns:
          The candidates, best first.

        Raises:
          E2EGRecError: as `predict`; also for an empty list of candidates, ids of the wrong type, unknown
            context features, or outputs that do not follow the contract.
        """
        candidates, recent = _as_list(candidates), _as_list(recent)
        if not candidates:
            raise E2EGRecError("there is nothing to rank: give at least one candidate")
        name = RANK_FRESH_SIGNATURE if fresh else RANK_SIGNATURE
        try:
            signature = self._rank_signature(version, name)
            inputs = rank_inputs(signature, user_id, candidates, recent, context, fresh)
            response = self._predict(inputs, name, version)
        except E2EGRecError:
            # A new version may have another signature: the next call reads it again.
            with self._lock:
                self._rank_signatures.clear()
            raise
        return _ranked(candidates, _arrays(response), int(response.model_spec.version.value))

    def model_status(self) -> list[VersionStatus]:
        """Ask for the states of the model's versions.

        Returns:
          One status per version that the server knows of, newest first.

        Raises:
          E2EGRecError: the server cannot be reached or does not know the model.
        """
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model_name
        response = self._call(self._model.GetModelStatus, request)
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

    def wait_until_available(
        self,
        deadline_seconds: float = 60.0,
        version: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> int:
        """Wait until the server answers for the model.

        Args:
          deadline_seconds: how long to wait, seconds.
          version: the version to wait for, None for any.
          check: called before every look; may raise to end the waiting, e.g. where the server has died.

        Returns:
          The newest available version, or `version`.

        Raises:
          E2EGRecError: the deadline passed, or every version (or the one asked for) failed to load.
        """
        deadline = time.monotonic() + deadline_seconds
        while True:
            if check is not None:
                check()
            last_error: E2EGRecError | None = None
            versions: list[VersionStatus] = []
            try:
                versions = self.model_status()
            except E2EGRecError as error:
                last_error = error
            if version is not None:
                versions = [status for status in versions if status.version == version]
            available = [status.version for status in versions if status.available]
            if available:
                return max(available)
            self._raise_if_hopeless(versions)
            if time.monotonic() >= deadline:
                seen = (
                    ", ".join(f"{status.version}: {status.state}" for status in versions) or "no such version"
                )
                raise E2EGRecError(
                    f"model {self.model_name} on {self.target} was not available "
                    f"within {deadline_seconds:g} s ({last_error or seen})"
                ) from last_error
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> "RankingClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _raise_if_hopeless(self, versions: Sequence[VersionStatus]) -> None:
        """Raise where every version ended with an error, so that waiting does not help."""
        if versions and all(status.failed for status in versions):
            newest = max(versions, key=lambda status: status.version)
            raise E2EGRecError(
                f"version {newest.version} of model {self.model_name} failed to load on {self.target}: "
                f"{newest.error_message}"
            )

    def _predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, version: int | str | None
    ) -> predict_pb2.PredictResponse:
        request = predict_pb2.PredictRequest()
        self._fill_spec(request.model_spec, version)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            try:
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            except (TypeError, ValueError) as error:
                raise E2EGRecError(f"input {name} cannot become a tensor: {error}") from error
        return self._call(self._prediction.Predict, request)

    def _rank_signature(self, version: int | str | None, name: str) -> Any:
        """The signature `rank` or `rank_fresh`, read from the server once per version asked for."""
        with self._lock:
            known = self._rank_signatures.get((name, version))
        if known is not None:
            return known
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        self._fill_spec(request.model_spec, version)
        request.metadata_field.append("signature_def")
        response = self._call(self._prediction.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        try:
            response.metadata["signature_def"].Unpack(signatures)
        except DecodeError as error:
            raise E2EGRecError(f"{self.target} answered with unreadable metadata") from error
        if name not in signatures.signature_def:
            names = ", ".join(sorted(one for one in signatures.signature_def if not one.startswith("__")))
            raise E2EGRecError(f"model {self.model_name} has no {name} signature; it has {names or 'none'}")
        with self._lock:
            self._rank_signatures[name, version] = signatures.signature_def[name]
        return signatures.signature_def[name]

    def _fill_spec(self, spec: Any, version: int | str | None) -> None:
        spec.name = self.model_name
        if isinstance(version, str):
            spec.version_label = version
        elif version is not None:
            spec.version.value = version

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """Make a call within the timeout, repeating it where that may help."""
        deadline = time.monotonic() + self._timeout
        attempt = 0
        while True:
            try:
                return method(request, timeout=max(0.001, deadline - time.monotonic()))
            except grpc.RpcError as error:
                pause = FIRST_BACKOFF_SECONDS * 2**attempt
                retry = error.code() in self._retried and attempt < self._retries
                if not retry or time.monotonic() + pause >= deadline:
                    raise self._readable(error) from error
            attempt += 1
            time.sleep(pause)

    def _readable(self, error: Any) -> E2EGRecError:
        advice = _ADVICE.get(error.code(), "failed")
        return E2EGRecError(
            f"server {self.target} {advice} (model {self.model_name}, {error.code().name}): {error.details()}"
        )


def _arrays(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    return {name: np.asarray(tf.make_ndarray(proto)) for name, proto in response.outputs.items()}


def _as_list(ids: Sequence[Any]) -> list[Any]:
    """A list from any sequence or array of ids; a lone string is a mistake, not a sequence of letters."""
    if isinstance(ids, str | bytes):
        raise E2EGRecError(f"give a list of ids, not the single id {ids!r}")
    return list(ids)


def _ranked(
    candidates: Sequence[int | str], outputs: Mapping[str, np.ndarray], version: int
) -> RankedCandidates:
    """Cut the padding off the outputs and sort by score; NaN scores come last."""
    count = len(candidates)
    rows = {}
    for name in ("reward", "stay_seconds", "score"):
        output = outputs.get(name)
        if output is None or output.ndim != 2 or output.shape[0] != 1 or output.shape[1] < count:
            shape = "nothing" if output is None else list(output.shape)
            raise E2EGRecError(
                f"version {version} of the model answered {shape} for {name} instead of [1, {count}]: "
                f"its {RANK_SIGNATURE} signature does not follow the contract"
            )
        rows[name] = output[0, :count]
    order = np.argsort(-rows["score"], kind="stable")
    return RankedCandidates(
        np.asarray(candidates)[order],
        rows["reward"][order],
        rows["stay_seconds"][order],
        rows["score"][order],
        version,
    )
