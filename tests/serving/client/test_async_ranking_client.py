"""What only the asyncio client has: many calls at once, cancellation, a loop of its own; and both clients on one server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.client.async_ranking_client import AsyncRankingClient
from serving.client.ranking_client import RankingClient
from serving.running_server import RunningServer
from tests.serving.both_clients import BOTH
from tf_e2egrec.errors import E2EGRecError

MODEL = "tiny"
Start = Callable[[], RunningServer]


def test_both_clients_get_the_same_from_one_server(start: Start, export: Callable[..., Path]) -> None:
    export(1)
    server = start()
    answers = []
    for make in BOTH.values():
        with make(server.target, MODEL) as client:
            assert client.wait_until_available(10) == 1
            assert [status.state for status in client.model_status()] == ["AVAILABLE"]
            ranked = client.rank(7, [13, 29, 5], recent=[1, 2, 3], context={"hour": 4.5}, version=1)
            doubled = client.predict({"x": np.array([1.0, 2.0], np.float32)}, "serving_default")
            with pytest.raises(E2EGRecError) as missing:
                client.predict({}, "serving_default")
            with pytest.raises(E2EGRecError) as label:
                client.rank(1, [2], version="stable")
        assert missing.value.__cause__.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[union-attr]
        answers.append(
            (
                ranked.item_ids.tolist(),
                ranked.score.tolist(),
                doubled["y"].tolist(),
                str(missing.value),
                str(label.value),
            )
        )
    assert answers[0] == answers[1]
    assert answers[0][0] == [29, 5, 13]
    assert "stable" in answers[0][4]


def test_many_calls_at_once(start: Start, export: Callable[..., Path]) -> None:
    export(1)
    target = start().target

    async def rank_all() -> list[Any]:
        async with AsyncRankingClient(target, MODEL) as client:
            return await asyncio.gather(*(client.rank(1, [user, 9]) for user in range(40)))

    for user, answer in enumerate(asyncio.run(rank_all())):
        # The reward is the last digit; the candidates of one call never come back with another.
        assert sorted(answer.item_ids.tolist()) == sorted([user, 9])
        assert answer.item_ids[0] == (user if user % 10 == 9 else 9)


def test_a_cancelled_call_is_given_up() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    class Sleepy(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            async def never(request: bytes, context: Any) -> bytes:
                begun.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    cancelled.set()
                return b""

            return grpc.unary_unary_rpc_method_handler(never)

    async def scenario() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Sleepy(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with AsyncRankingClient(f"127.0.0.1:{port}", MODEL, timeout=60) as client:
            task = asyncio.create_task(client.predict({}))
            await asyncio.wait_for(begun.wait(), 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(cancelled.wait(), 20)
        await server.stop(None)

    asyncio.run(scenario())


def test_a_client_can_be_made_before_the_loop_and_closed_without_a_call() -> None:
    client = AsyncRankingClient("127.0.0.1:1", MODEL)
    asyncio.run(client.close())


def test_both_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(RankingClient) == public(AsyncRankingClient)
