"""From output arrays to what a caller gets: padding is cut off, shapes are checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.client.item_request import EMBED_SIGNATURE, RETRIEVE_SIGNATURE
from serving.client.rank_request import RANK_SIGNATURE
from serving.client.ranked_candidates import RankedCandidates
from serving.client.retrieved_items import RetrievedItems
from tf_e2egrec.errors import E2EGRecError

Arrays = Mapping[str, np.ndarray]


def as_list(ids: Sequence[Any]) -> list[Any]:
    """A list from any sequence or array of ids; a lone string is a mistake, not a sequence of letters.

    Raises:
      E2EGRecError: it is a lone string.
    """
    if isinstance(ids, str | bytes):
        raise E2EGRecError(f"give a list of ids, not the single id {ids!r}")
    return list(ids)


def ranked_candidates(candidates: Sequence[int | str], outputs: Arrays, version: int) -> RankedCandidates:
    """Cut the padding off the outputs of `rank` and sort by score; NaN scores come last.

    Args:
      candidates: ids as they were sent, C of them.
      outputs: `reward`, `stay_seconds`, `score`, each [1, C] or longer: a server answers at the longest list of a batch.
      version: that answered.

    Raises:
      E2EGRecError: the outputs do not follow the contract.
    """
    count = len(candidates)
    rows = {
        name: _row(outputs, name, count, RANK_SIGNATURE, version)
        for name in ("reward", "stay_seconds", "score")
    }
    order = np.argsort(-rows["score"], kind="stable")
    return RankedCandidates(
        np.asarray(candidates)[order],
        rows["reward"][order],
        rows["stay_seconds"][order],
        rows["score"][order],
        version,
    )


def retrieved_items(outputs: Arrays, limit: int | None, version: int) -> RetrievedItems:
    """Cut off what lies beyond `num_items` in the outputs of `retrieve`.

    Args:
      outputs: `items` and `scores` [1, k], `num_items` [1].
      limit: keep so many at most; all when None.
      version: that answered.

    Raises:
      E2EGRecError: the outputs do not follow the contract.
    """
    number = outputs.get("num_items")
    if number is None or number.shape != (1,):
        raise _broken("num_items", number, "[1]", RETRIEVE_SIGNATURE, version)
    count = int(number[0]) if limit is None else min(int(number[0]), limit)
    ids = _row(outputs, "items", count, RETRIEVE_SIGNATURE, version)
    if ids.dtype.kind in "OS":
        ids = np.array([one.decode() for one in ids], dtype=str)
    return RetrievedItems(ids, _row(outputs, "scores", count, RETRIEVE_SIGNATURE, version), version)


def embeddings(count: int, outputs: Arrays, version: int) -> np.ndarray:
    """Z of `count` items, float32 [count, width], from the outputs of `embed`.

    Raises:
      E2EGRecError: the outputs do not follow the contract.
    """
    z = outputs.get("z")
    if z is None or z.ndim != 2 or z.shape[0] != count:
        raise _broken("z", z, f"[{count}, width]", EMBED_SIGNATURE, version)
    return z


def _row(outputs: Arrays, name: str, count: int, signature: str, version: int) -> np.ndarray:
    """The first `count` values of a [1, ...] output."""
    output = outputs.get(name)
    if output is None or output.ndim != 2 or output.shape[0] != 1 or output.shape[1] < count:
        raise _broken(name, output, f"[1, {count}]", signature, version)
    return np.asarray(output[0, :count])


def _broken(name: str, output: np.ndarray | None, wanted: str, signature: str, version: int) -> E2EGRecError:
    shape = "nothing" if output is None else list(output.shape)
    return E2EGRecError(
        f"version {version} of the model answered {shape} for {name} instead of {wanted}: "
        f"its {signature} signature does not follow the contract"
    )
