"""The request that serving would answer for what a user was shown."""

import json
import shlex
from typing import Any

import numpy as np

from tf_e2egrec.explorer.explored_run import ExploredRun
from tf_e2egrec.explorer.user_rankings import Shown

_MOST_CANDIDATES = 10


def rank_request(explored: ExploredRun, user: int, shown: Shown) -> dict[str, Any]:
    """Body of a REST call of the signature `rank`: the user, the last items that were shown, and the context of the last one.

    Args:
      explored: the run.
      user: key.
      shown: what the user was shown.
    """
    strings = explored.strings  # requests carry text where the logs do

    def raw(kind: str, keys: list[int]) -> list[Any]:
        return [explored.id_of(kind, key) for key in keys] if kind in strings else keys

    candidates = raw("item", list(dict.fromkeys(shown.item.tolist()))[-_MOST_CANDIDATES:])
    recent = raw("item", shown.recent)
    computed = explored.description.ranker.computed_from_request
    context = {
        name: [_plain(value, name in strings)]
        for name, value in shown.context.items()
        if name not in computed
    }
    inputs = {
        "user_id": raw("user", [user]),
        "time": [-1 if explored.description.time_is_rank else int(shown.time[-1])],
        "recent": [recent],
        "num_recent": [len(recent)],
        "candidates": [candidates],
        "num_candidates": [len(candidates)],
        **context,
    }
    return {"signature_name": "rank", "inputs": inputs}


def predict_command(request: dict[str, Any], model: str) -> str:
    """The same as an `e2egrec predict`."""
    inputs = request["inputs"]
    known = ("user_id", "recent", "num_recent", "candidates", "num_candidates")
    context = {
        name: values[0] for name, values in inputs.items() if name not in known and values[0] == values[0]
    }  # not NaN
    words = ["e2egrec", "predict", "--name", model, "--user", str(inputs["user_id"][0])]
    words += ["--candidates", ",".join(map(str, inputs["candidates"][0]))]
    if inputs["recent"][0]:
        words += ["--recent", ",".join(map(str, inputs["recent"][0]))]
    return shlex.join([*words, "--context", json.dumps(context)])


def _plain(value: Any, is_text: bool) -> Any:
    """A context value for JSON, NaN where missing; of text only the key is kept, so it is sent as missing."""
    if is_text:
        return ""
    return value.item() if isinstance(value, np.generic) else value
