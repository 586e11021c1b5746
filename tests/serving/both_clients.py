"""The asyncio client behind the blocking one's interface, so that one test holds for both."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from serving.client.async_ranking_client import AsyncRankingClient
from serving.client.ranking_client import RankingClient


class Awaited:
    """Awaits every method of an `AsyncRankingClient` in an event loop of its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._client = AsyncRankingClient(*arguments, **options)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if not inspect.iscoroutinefunction(value):
            return value
        return lambda *arguments, **options: self._loop.run_until_complete(value(*arguments, **options))

    def __enter__(self) -> "Awaited":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


MakeClient = Callable[..., Any]
BOTH: dict[str, MakeClient] = {"blocking": RankingClient, "asyncio": Awaited}
