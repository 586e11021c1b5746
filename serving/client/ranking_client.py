"""Client of an exported model: works with TensorFlow Serving and the development server alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.client.call_policy import CallPolicy
from serving.client.channel_options import DEFAULT_MAX_MESSAGE_BYTES, channel_options
from serving.client.fresh_item import FreshItem
from serving.client.model_calls import Attempt, ModelCalls, Pause, Steps, T
from serving.client.rank_request import RANK_SIGNATURE
from serving.client.ranked_candidates import RankedCandidates
from serving.client.retrieved_items import RetrievedItems
from serving.client.version_status import VersionStatus


class RankingClient:
    """Calls one model on one server; safe to share between threads. `AsyncRankingClient` is its twin for asyncio.

    UNAVAILABLE is retried with exponential backoff and jitter, within the timeout.
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
          timeout: how long one method may take with everything it asks the server and all retries, seconds.
          max_message_bytes: largest request and response, bytes; gRPC's own limit for responses is 4 MiB.
          retries: how often a call is repeated after UNAVAILABLE.
          retry_resource_exhausted: repeat after RESOURCE_EXHAUSTED too, which TensorFlow Serving answers when
            all its threads are busy.
        """
        self.target = target
        self.model_name = model_name
        policy = CallPolicy.retrying(timeout, retries, retry_resource_exhausted)
        self._calls = ModelCalls(target, model_name, policy)
        self._channel = grpc.insecure_channel(target, options=channel_options(max_message_bytes))
        self._stubs = {
            "prediction": prediction_service_pb2_grpc.PredictionServiceStub(self._channel),
            "model": model_service_pb2_grpc.ModelServiceStub(self._channel),
        }

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
        return self._run(self._calls.predict(inputs, signature, version))

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
        return self._run(self._calls.rank(user_id, candidates, recent, context, version, fresh))

    def retrieve(
        self,
        recent: Sequence[int | str],
        limit: int | None = None,
        version: int | str | None = None,
    ) -> RetrievedItems:
        """Find items for a user, of a model that `e2egrec candidates` exported.

        Args:
          recent: item ids the user engaged with, newest first; without any that is known, popular items are answered.
          limit: how many items at most; as many as the export finds when None.
          version: version number, or a version label as a string; None for the newest.

        Returns:
          Items, best first, none of `recent`; fewer than asked for where the export finds no more.

        Raises:
          E2EGRecError: as `rank`.
        """
        return self._run(self._calls.retrieve(recent, limit, version))

    def embed(self, items: Sequence[int | str], version: int | str | None = None) -> np.ndarray:
        """Look item vectors up, for an index of nearest neighbours.

        Args:
          items: item ids, at least one.
          version: version number, or a version label as a string; None for the newest.

        Returns:
          Z, float32 [n, width]; the unknown item's where the export does not know an id.

        Raises:
          E2EGRecError: as `rank`.
        """
        return self._run(self._calls.embed(items, version))

    def signatures(self, version: int | str | None = None) -> dict[str, Any]:
        """Ask which signatures the model has.

        Args:
          version: version number, or a version label as a string; None for the newest.

        Returns:
          `SignatureDef` message by name.

        Raises:
          E2EGRecError: as `predict`.
        """
        return self._run(self._calls.signatures(version))

    def model_status(self) -> list[VersionStatus]:
        """Ask for the states of the model's versions.

        Returns:
          One status per version that the server knows of, newest first.

        Raises:
          E2EGRecError: the server cannot be reached or does not know the model.
        """
        return self._run(self._calls.model_status())

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
        return self._run(self._calls.wait_until_available(deadline_seconds, version, check))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> "RankingClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        """Carry steps out."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._perform(step)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            value: T = end.value
            return value

    def _perform(self, step: Attempt | Pause) -> Any:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return getattr(self._stubs[step.service], step.method)(step.request, timeout=step.timeout)
