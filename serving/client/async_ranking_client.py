"""`AsyncRankingClient`: the client of an exported model for asyncio."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
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


class AsyncRankingClient:
    """Calls one model on one server, from one event loop: many calls may be under way at once, and a cancelled one is given
    up on the server, too. The methods are those of `RankingClient`, awaited.
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
        """Describe the channel, which opens with the first call; may be made outside of an event loop.

        Args:
          target: the server's gRPC address, `host:port`.
          model_name: the model's name on the server.
          timeout: how long one method may take with everything it asks the server and all retries, seconds.
          max_message_bytes: largest request and response, bytes.
          retries: how often a call is repeated after UNAVAILABLE.
          retry_resource_exhausted: repeat after RESOURCE_EXHAUSTED, too.
        """
        self.target = target
        self.model_name = model_name
        policy = CallPolicy.retrying(timeout, retries, retry_resource_exhausted)
        self._calls = ModelCalls(target, model_name, policy)
        self._options = channel_options(max_message_bytes)
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[str, Any] = {}

    async def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = RANK_SIGNATURE,
        version: int | str | None = None,
    ) -> dict[str, np.ndarray]:
        """See `RankingClient.predict`."""
        return await self._run(self._calls.predict(inputs, signature, version))

    async def rank(
        self,
        user_id: int | str,
        candidates: Sequence[int | str],
        recent: Sequence[int | str] = (),
        context: Mapping[str, Any] | None = None,
        version: int | str | None = None,
        fresh: Sequence[FreshItem] = (),
    ) -> RankedCandidates:
        """See `RankingClient.rank`."""
        return await self._run(self._calls.rank(user_id, candidates, recent, context, version, fresh))

    async def retrieve(
        self,
        recent: Sequence[int | str],
        limit: int | None = None,
        version: int | str | None = None,
    ) -> RetrievedItems:
        """See `RankingClient.retrieve`."""
        return await self._run(self._calls.retrieve(recent, limit, version))

    async def embed(self, items: Sequence[int | str], version: int | str | None = None) -> np.ndarray:
        """See `RankingClient.embed`."""
        return await self._run(self._calls.embed(items, version))

    async def signatures(self, version: int | str | None = None) -> dict[str, Any]:
        """See `RankingClient.signatures`."""
        return await self._run(self._calls.signatures(version))

    async def model_status(self) -> list[VersionStatus]:
        """See `RankingClient.model_status`."""
        return await self._run(self._calls.model_status())

    async def wait_until_available(
        self,
        deadline_seconds: float = 60.0,
        version: int | None = None,
        check: Callable[[], None] | None = None,
    ) -> int:
        """See `RankingClient.wait_until_available`; `check` is an ordinary function."""
        return await self._run(self._calls.wait_until_available(deadline_seconds, version, check))

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        channel, self._channel, self._stubs = self._channel, None, {}
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> "AsyncRankingClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        """Carry steps out."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._perform(step)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            value: T = end.value
            return value

    async def _perform(self, step: Attempt | Pause) -> Any:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        if self._channel is None:
            # Not before: a channel belongs to the event loop that is running when it is made.
            self._channel = grpc.aio.insecure_channel(self.target, options=self._options)
            self._stubs = {
                "prediction": prediction_service_pb2_grpc.PredictionServiceStub(self._channel),
                "model": model_service_pb2_grpc.ModelServiceStub(self._channel),
            }
        return await getattr(self._stubs[step.service], step.method)(step.request, timeout=step.timeout)
