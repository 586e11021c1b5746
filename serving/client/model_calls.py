"""`ModelCalls`: what a client does, without doing it; the blocking and the asyncio client carry the same steps out."""

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving.client.answers import as_list, embeddings, ranked_candidates, retrieved_items
from serving.client.call_errors import readable_error
from serving.client.call_policy import CallPolicy
from serving.client.fresh_inputs import RANK_FRESH_SIGNATURE
from serving.client.fresh_item import FreshItem
from serving.client.item_request import EMBED_SIGNATURE, RETRIEVE_SIGNATURE, embed_inputs, retrieve_inputs
from serving.client.prediction_messages import (
    Version,
    answering_version,
    metadata_request,
    output_arrays,
    predict_request,
    signatures_in,
    status_request,
    version_statuses,
)
from serving.client.rank_request import RANK_SIGNATURE, rank_inputs
from serving.client.ranked_candidates import RankedCandidates
from serving.client.retrieved_items import RetrievedItems
from serving.client.version_status import VersionStatus
from tf_e2egrec.errors import E2EGRecError

_POLL_SECONDS = 0.1
T = TypeVar("T")


class Attempt(NamedTuple):
    """Make one call; its answer, or its `grpc.RpcError`, goes back into the steps.

    Attributes:
      service: which stub.
      method: which of its methods.
      request: the message.
      timeout: seconds.
    """

    service: Literal["prediction", "model"]
    method: str
    request: Any
    timeout: float


class Pause(NamedTuple):
    """Wait.

    Attributes:
      seconds: how long.
    """

    seconds: float


Steps = Generator[Attempt | Pause, Any, T]


class ModelCalls:
    """Every method is a generator of steps whose value is the answer; they raise `E2EGRecError`, in one sentence. What each
    does is said in `RankingClient`.

    A call may be repeated: predictions change nothing on the server.

    Args:
      target: the server's address, `host:port`.
      model_name: the model's name on the server.
      policy: of timeouts and retries.
    """

    def __init__(self, target: str, model_name: str, policy: CallPolicy) -> None:
        self.target = target
        self.model_name = model_name
        self._policy = policy
        self._lock = threading.Lock()
        self._signatures: dict[tuple[str, Version], Any] = {}

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, version: Version
    ) -> Steps[dict[str, np.ndarray]]:
        """Run a signature."""
        response = yield from self._predict(inputs, signature, version, time.monotonic())
        return output_arrays(response)

    def rank(
        self,
        user_id: int | str,
        candidates: Sequence[int | str],
        recent: Sequence[int | str],
        context: Mapping[str, Any] | None,
        version: Version,
        fresh: Sequence[FreshItem],
    ) -> Steps[RankedCandidates]:
        """Rank candidates for a user."""
        candidates, recent = as_list(candidates), as_list(recent)
        if not candidates:
            raise E2EGRecError("there is nothing to rank: give at least one candidate")
        response = yield from self._by_signature(
            RANK_FRESH_SIGNATURE if fresh else RANK_SIGNATURE,
            lambda signature: rank_inputs(signature, user_id, candidates, recent, context, fresh),
            version,
        )
        return ranked_candidates(candidates, output_arrays(response), answering_version(response))

    def retrieve(
        self, recent: Sequence[int | str], limit: int | None, version: Version
    ) -> Steps[RetrievedItems]:
        """Find items for a user."""
        recent = as_list(recent)
        if limit is not None and limit < 1:
            raise E2EGRecError(f"a search for {limit} items finds nothing; ask for at least 1")
        response = yield from self._by_signature(
            RETRIEVE_SIGNATURE, lambda signature: retrieve_inputs(signature, recent), version
        )
        return retrieved_items(output_arrays(response), limit, answering_version(response))

    def embed(self, items: Sequence[int | str], version: Version) -> Steps[np.ndarray]:
        """Look item vectors up."""
        items = as_list(items)
        response = yield from self._by_signature(
            EMBED_SIGNATURE, lambda signature: embed_inputs(signature, items), version
        )
        return embeddings(len(items), output_arrays(response), answering_version(response))

    def signatures(self, version: Version) -> Steps[dict[str, Any]]:
        """Ask for the model's signatures."""
        return (yield from self._read_signatures(version, time.monotonic()))

    def model_status(self) -> Steps[list[VersionStatus]]:
        """Ask for the states of the model's versions."""
        request = status_request(self.model_name)
        response = yield from self._call("model", "GetModelStatus", request, time.monotonic())
        return version_statuses(response)

    def wait_until_available(
        self, deadline_seconds: float, version: int | None, check: Callable[[], None] | None
    ) -> Steps[int]:
        """Wait until the server answers for the model."""
        deadline = time.monotonic() + deadline_seconds
        while True:
            if check is not None:
                check()
            last_error: E2EGRecError | None = None
            versions: list[VersionStatus] = []
            try:
                versions = yield from self.model_status()
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
            yield Pause(_POLL_SECONDS)

    def _raise_if_hopeless(self, versions: Sequence[VersionStatus]) -> None:
        """Raise where every version ended with an error, so that waiting does not help."""
        if versions and all(status.failed for status in versions):
            newest = max(versions, key=lambda status: status.version)
            raise E2EGRecError(
                f"version {newest.version} of model {self.model_name} failed to load on {self.target}: "
                f"{newest.error_message}"
            )

    def _by_signature(
        self, name: str, inputs_of: Callable[[Any], Mapping[str, np.ndarray]], version: Version
    ) -> Steps[predict_pb2.PredictResponse]:
        """Run a signature whose inputs depend on what the model says of it."""
        started = time.monotonic()
        try:
            signature = yield from self._signature(name, version, started)
            return (yield from self._predict(inputs_of(signature), name, version, started))
        except E2EGRecError:
            # A new version may have another signature: the next call reads it again.
            with self._lock:
                self._signatures.clear()
            raise

    def _signature(self, name: str, version: Version, started: float) -> Steps[Any]:
        """A signature, read from the server once per version asked for."""
        with self._lock:
            known = self._signatures.get((name, version))
        if known is not None:
            return known
        signatures = yield from self._read_signatures(version, started)
        if name not in signatures:
            names = ", ".join(sorted(signatures))
            raise E2EGRecError(f"model {self.model_name} has no {name} signature; it has {names or 'none'}")
        with self._lock:
            self._signatures[name, version] = signatures[name]
        return signatures[name]

    def _read_signatures(self, version: Version, started: float) -> Steps[dict[str, Any]]:
        request = metadata_request(self.model_name, version)
        response = yield from self._call("prediction", "GetModelMetadata", request, started)
        return signatures_in(response, self.target)

    def _predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, version: Version, started: float
    ) -> Steps[predict_pb2.PredictResponse]:
        request = predict_request(self.model_name, inputs, signature, version)
        return (yield from self._call("prediction", "Predict", request, started))

    def _call(
        self, service: Literal["prediction", "model"], method: str, request: Any, started: float
    ) -> Steps[Any]:
        """Make a call within the timeout that began at `started`, repeating it where that may help."""
        attempt = 0
        while True:
            try:
                timeout = self._policy.remaining(started, time.monotonic())
                return (yield Attempt(service, method, request, timeout))
            except grpc.RpcError as error:
                pause = self._policy.pause(error, attempt, started, time.monotonic())
                if pause is None:
                    raise readable_error(error, self.target, self.model_name) from error
            attempt += 1
            yield Pause(pause)
