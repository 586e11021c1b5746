"""The inputs that the `rank_fresh` signature has beside those of `rank`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from serving.client.fresh_item import FreshItem
from tf_e2egrec.errors import E2EGRecError

RANK_FRESH_SIGNATURE = "rank_fresh"
LIST_INPUTS = ("fresh", "num_fresh", "fresh_neighbours", "fresh_weights", "num_fresh_neighbours")
FEATURE_PREFIX = "fresh_feature_"
_KEY_SPACE = 2**59  # into which text is hashed everywhere in the library
_MISSING_KEY = -1


def is_fresh_input(name: str) -> bool:
    """Whether an input of `rank_fresh` is about fresh items."""
    return name in LIST_INPUTS or name.startswith(FEATURE_PREFIX)


def fresh_inputs(signature: Any, fresh: Sequence[FreshItem]) -> dict[str, np.ndarray]:
    """The fresh items of one request (B = 1).

    Args:
      signature: `SignatureDef` message of `rank_fresh`.
      fresh: at least one.

    Returns:
      Arrays by input name: `fresh` [1, F], `num_fresh` [1] int32, `fresh_neighbours` and `fresh_weights` [1, F, K],
      `num_fresh_neighbours` [1, F] int32, and `fresh_feature_<name>` [1, F] or [1, F, width].

    Raises:
      E2EGRecError: a value of the wrong type or length, or an unknown feature.
    """
    text_ids = tf.dtypes.as_dtype(signature.inputs["fresh"].dtype) == tf.string
    count = len(fresh)
    width = max(1, *(len(item.neighbours) for item in fresh))
    ids = np.full((1, count, width), b"" if text_ids else _MISSING_KEY, object if text_ids else np.int64)
    weights = np.zeros((1, count, width), np.float32)
    for row, item in enumerate(fresh):
        for place, (neighbour, weight) in enumerate(item.neighbours.items()):
            ids[0, row, place] = _id(neighbour, text_ids)
            weights[0, row, place] = weight
    inputs = {
        "fresh": np.array(
            [[_id(item.item_id, text_ids) for item in fresh]], object if text_ids else np.int64
        ),
        "num_fresh": np.array([count], np.int32),
        "fresh_neighbours": ids,
        "fresh_weights": weights,
        "num_fresh_neighbours": np.array([[len(item.neighbours) for item in fresh]], np.int32),
    }
    features = [
        name.removeprefix(FEATURE_PREFIX) for name in signature.inputs if name.startswith(FEATURE_PREFIX)
    ]
    unknown = sorted({name for item in fresh for name in item.features} - set(features))
    if unknown:
        raise E2EGRecError(
            f"the model has no item feature {', '.join(unknown)}; it has {', '.join(sorted(features)) or 'none'}"
        )
    for name in features:
        info = signature.inputs[FEATURE_PREFIX + name]
        inputs[FEATURE_PREFIX + name] = _feature(name, [item.features.get(name) for item in fresh], info)
    return inputs


def _feature(name: str, values: Sequence[Any], info: Any) -> np.ndarray:
    """Values of one feature as [1, F] or [1, F, width], None as missing."""
    dims = [dim.size for dim in info.tensor_shape.dim][2:]
    is_key = tf.dtypes.as_dtype(info.dtype) == tf.int64
    # A vector that is not known is zero, a number NaN, a category -1.
    missing = _MISSING_KEY if is_key else (0.0 if dims else np.nan)
    array = np.full((1, len(values), *dims), missing, np.int64 if is_key else np.float32)
    for row, value in enumerate(values):
        if value is None:
            continue
        given = [value] if not dims or isinstance(value, str | bytes) or np.isscalar(value) else list(value)
        if dims and (len(given) > dims[0] or (not is_key and len(given) != dims[0])):
            raise E2EGRecError(f"{name}: the model takes {dims[0]} values, got {len(given)}")
        try:
            cells = [_key(one) if is_key else float(one) for one in given]
        except (TypeError, ValueError):
            wanted = "integers or text" if is_key else "numbers"
            raise E2EGRecError(f"{name}: the model takes {wanted}, got {value!r}") from None
        if dims:
            array[0, row, : len(cells)] = cells
        else:
            array[0, row] = cells[0]
    return array


def _id(value: Any, text_ids: bool) -> Any:
    if text_ids and isinstance(value, str | bytes):
        return value.encode() if isinstance(value, str) else value
    if not text_ids and isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise E2EGRecError(
        f"fresh: the model takes {'string' if text_ids else 'int64'} ids, got {value!r} ({type(value).__name__})"
    )


def _key(value: Any) -> int:
    """A category as the model knows it: text is hashed as the pipelines hash it."""
    if isinstance(value, str | bytes):
        return int(tf.strings.to_hash_bucket_fast(value, _KEY_SPACE)) if value else _MISSING_KEY
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError
    return max(int(value), _MISSING_KEY)
