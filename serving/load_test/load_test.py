"""Open-loop traffic against a server."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving.client.call_errors import readable_error
from serving.client.channel_options import channel_options
from serving.load_test.load_outcome import OK, LoadOutcome
from serving.load_test.load_plan import LoadPlan

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_TICK_SECONDS = 0.2


def run_load_test(
    target: str,
    requests: Sequence[predict_pb2.PredictRequest],
    plan: LoadPlan,
    progress: Callable[[int], None] | None = None,
) -> LoadOutcome:
    """Send requests as planned and wait for all answers.

    Every connection is opened, and makes one call that does not count, before the clock starts.

    Args:
      target: the server's gRPC address, `host:port`.
      requests: what is sent, in turn and again from the first.
      plan: when.
      progress: called now and then with the number of finished requests.

    Raises:
      E2EGRecError: a call before the start failed, said in one sentence.
    """
    return asyncio.run(_run(target, requests, plan, progress or (lambda _: None)))


async def _run(
    target: str,
    requests: Sequence[predict_pb2.PredictRequest],
    plan: LoadPlan,
    progress: Callable[[int], None],
) -> LoadOutcome:
    messages = [request.SerializeToString() for request in requests]
    # Without a pool of its own, every channel would share one connection.
    options = [*channel_options(), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(plan.connections)]
    calls = [
        channel.unary_unary(_PREDICT, response_deserializer=predict_pb2.PredictResponse.FromString)
        for channel in channels
    ]
    try:
        for call in calls:
            try:
                await call(messages[0], timeout=plan.timeout)
            except grpc.RpcError as error:
                raise readable_error(error, target, requests[0].model_spec.name) from error
        return await _send_all(calls, messages, plan, progress)
    finally:
        for channel in channels:
            await channel.close()


async def _send_all(
    calls: Sequence[Any], messages: Sequence[bytes], plan: LoadPlan, progress: Callable[[int], None]
) -> LoadOutcome:
    scheduled = plan.send_times()
    sent, finished = np.zeros(len(scheduled)), np.zeros(len(scheduled))
    codes = [OK] * len(scheduled)
    versions = np.full(len(scheduled), -1, np.int64)
    done = 0
    start = time.perf_counter()

    async def one(place: int) -> None:
        nonlocal done
        sent[place] = time.perf_counter() - start
        try:
            call = calls[place % len(calls)]
            answer = await call(messages[place % len(messages)], timeout=plan.timeout)
            versions[place] = answer.model_spec.version.value
        except grpc.RpcError as error:
            codes[place] = error.code().name
        finished[place] = time.perf_counter() - start
        done += 1

    async def tell() -> None:
        while True:
            progress(done)
            await asyncio.sleep(_TICK_SECONDS)

    ticker = asyncio.create_task(tell())
    tasks = []
    for place, moment in enumerate(scheduled):
        delay = start + moment - time.perf_counter()
        await asyncio.sleep(max(0.0, delay))  # 0, too, lets answers in
        tasks.append(asyncio.create_task(one(place)))
    await asyncio.gather(*tasks)
    ticker.cancel()
    progress(done)
    return LoadOutcome(scheduled, sent, finished, np.array(codes), versions)
