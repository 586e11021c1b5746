"""The inputs of the `rank` signature, built from ids and context the way a caller has them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from serving.client.fresh_inputs import fresh_inputs, is_fresh_input
from serving.client.fresh_item import FreshItem
from tf_e2egrec.errors import E2EGRecError

RANK_SIGNATURE = "rank"
ID_INPUTS = ("user_id", "recent", "num_recent", "candidates", "num_candidates")
_MISSING_KEY = -1  # the missing key everywhere in the library; importing it from there would import numba


def _missing(dtype: Any) -> Any:
    """What stands for "not known": NaN, -1 or the empty string."""
    if dtype.is_floating:
        return float("nan")
    return b"" if dtype == tf.string else _MISSING_KEY


def _value(name: str, value: Any, dtype: Any) -> Any:
    """Check one id or feature value against the signature's dtype; None means missing."""
    if value is None:
        return _missing(dtype)
    if dtype == tf.string:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, bytes):
            return value
    elif dtype.is_integer:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            if not dtype.min <= value <= dtype.max:
                raise E2EGRecError(f"{name}: {value} does not fit into {dtype.name}")
            return int(value)
    elif isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    raise E2EGRecError(f"{name}: the model takes {dtype.name}, got {value!r} ({type(value).__name__})")


def _array(name: str, values: Sequence[Any], dtype: Any) -> np.ndarray:
    return np.array([_value(name, value, dtype) for value in values], dtype=dtype.as_numpy_dtype)


def id_array(name: str, ids: Sequence[Any], info: Any) -> np.ndarray:
    """Ids as [n] of the dtype that a signature's `TensorInfo` says.

    Raises:
      E2EGRecError: an id of the wrong type.
    """
    return _array(name, ids, tf.dtypes.as_dtype(info.dtype))


def id_list(name: str, ids: Sequence[Any], info: Any) -> tuple[np.ndarray, int]:
    """Lay a list of ids out as [1, H], padded or cut to H where the signature fixes it; H is at least 1.

    Returns:
      The array and the number of ids in it.
    """
    dtype = tf.dtypes.as_dtype(info.dtype)
    dims = info.tensor_shape.dim
    fixed = dims[1].size if len(dims) == 2 and dims[1].size > 0 else None
    kept = list(ids[:fixed])
    width = fixed or max(1, len(kept))
    return _array(name, kept + [None] * (width - len(kept)), dtype)[np.newaxis], len(kept)


def check_rank_signature(signature: Any) -> None:
    """Raise unless a signature takes the ids that a ranking request sends.

    Args:
      signature: `SignatureDef` message.

    Raises:
      E2EGRecError: inputs are missing, or `candidates` and `recent` are no [B, length] tensors.
    """
    absent = [name for name in ID_INPUTS if name not in signature.inputs]
    if absent:
        raise E2EGRecError(
            f"the model's {RANK_SIGNATURE} signature lacks the inputs {', '.join(absent)}: "
            "export it with this library"
        )


def rank_inputs(
    signature: Any,
    user_id: int | str,
    candidates: Sequence[int | str],
    recent: Sequence[int | str] = (),
    context: Mapping[str, Any] | None = None,
    fresh: Sequence[FreshItem] = (),
) -> dict[str, np.ndarray]:
    """Build the inputs of a ranking request for one user (B = 1).

    Args:
      signature: `SignatureDef` message of the `rank` signature, or of `rank_fresh` where there are fresh items; it says
        which dtypes ids have and which context features there are.
      user_id: the user.
      candidates: ids to rank, at least one.
      recent: ids of the items the user engaged with, newest first; only the newest are kept where the
        signature fixes the length.
      context: value by feature name; features left out (or None) are sent as missing.
      fresh: candidates with features and neighbours of their own.

    Returns:
      Arrays by input name: `user_id` [1], `candidates` [1, C], `num_candidates` [1] int32, `recent` [1, H],
      `num_recent` [1] int32 and every context feature [1]; with fresh items those of `fresh_inputs`, too.

    Raises:
      E2EGRecError: no candidate, an id or a value of the wrong type, an unknown context feature, or more
        candidates than the signature takes.
    """
    if len(candidates) == 0:
        raise E2EGRecError("there is nothing to rank: give at least one candidate")
    check_rank_signature(signature)
    context = dict(context or {})
    features = sorted(set(signature.inputs) - set(ID_INPUTS))
    if fresh:
        features = [name for name in features if not is_fresh_input(name)]
    unknown = sorted(set(context) - set(features))
    if unknown:
        raise E2EGRecError(
            f"the model has no context feature {', '.join(unknown)}; it has {', '.join(features) or 'none'}"
        )
    dtypes = {name: tf.dtypes.as_dtype(info.dtype) for name, info in signature.inputs.items()}
    candidate_ids, num_candidates = id_list("candidates", candidates, signature.inputs["candidates"])
    if num_candidates < len(candidates):
        raise E2EGRecError(
            f"{len(candidates)} candidates, but the model ranks at most {num_candidates} at once"
        )
    recent_ids, num_recent = id_list("recent", recent, signature.inputs["recent"])
    inputs = {
        "user_id": _array("user_id", [user_id], dtypes["user_id"]),
        "candidates": candidate_ids,
        "num_candidates": _array("num_candidates", [num_candidates], dtypes["num_candidates"]),
        "recent": recent_ids,
        "num_recent": _array("num_recent", [num_recent], dtypes["num_recent"]),
    }
    inputs |= {name: _array(name, [context.get(name)], dtypes[name]) for name in features}
    return inputs | fresh_inputs(signature, fresh) if fresh else inputs
