"""Requests that a server replays before a version takes traffic, so that it is slow for nobody."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tf_e2egrec.stages.export import Prepared

CANDIDATES = (1, 100, 500)
RECENT = 20
FRESH_SHARE = 0.05  # of the candidates; at least one
Arrays = dict[str, np.ndarray]


def warmup_requests(prepared: Prepared) -> list[tuple[str, Arrays]]:
    """(signature, inputs) of each request: one per length of the candidate list to `rank`, and to `rank_fresh` where the
    model has it.

    Items and the time are those of the validation split, so that two versions can be told apart by their answers; the
    user is nobody. An export of the kind `examples` gets its sample.
    """
    calls = {call.signature: call.inputs for call in prepared.calls}
    if prepared.module.kind == "examples":
        return [("serving_default", dict(calls["serving_default"]))]
    rank = [("rank", _rank(prepared, calls["rank"], length)) for length in CANDIDATES]
    if "rank_fresh" not in calls:
        return rank
    fresh = [("rank_fresh", _with_fresh(inputs, calls["rank_fresh"])) for _, inputs in rank]
    return rank + fresh


def _rank(prepared: Prepared, sample: Mapping[str, np.ndarray], length: int) -> Arrays:
    """A request of one row."""
    items = np.unique(sample["candidates"])
    lists = {"candidates": np.resize(items, (1, length)), "recent": np.resize(items, (1, RECENT))}
    numbers = {"num_candidates": length, "num_recent": RECENT, "time": sample["time"].max()}
    inputs = {}
    for name, spec in prepared.module.rank_inputs().items():
        text = spec.dtype == tf.string
        empty = np.full((1,), b"" if text else 0, object if text else spec.dtype.as_numpy_dtype)
        inputs[name] = lists.get(name, empty)
        if name in numbers:
            inputs[name] = np.full_like(empty, numbers[name])
    return inputs


def _with_fresh(rank: Mapping[str, np.ndarray], sample: Mapping[str, np.ndarray]) -> Arrays:
    """The same request, its first candidates fresh."""
    count = max(1, int(FRESH_SHARE * rank["candidates"].shape[1]))
    inputs = dict(rank)
    for name in sample.keys() - rank.keys():
        values = sample[name]
        if name == "num_fresh":
            inputs[name] = np.array([count], values.dtype)
            continue
        rows = values.reshape(-1, *values.shape[2:])  # [B, F, ...] -> [B * F, ...]
        inputs[name] = np.resize(rows, (1, count, *rows.shape[1:]))
    inputs["candidates"] = rank["candidates"].copy()
    inputs["candidates"][0, :count] = inputs["fresh"][0]
    return inputs
