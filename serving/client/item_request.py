"""The inputs of the signatures that know items alone: `retrieve` and `embed`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.client.rank_request import id_array, id_list
from tf_e2egrec.errors import E2EGRecError

RETRIEVE_SIGNATURE = "retrieve"
EMBED_SIGNATURE = "embed"


def retrieve_inputs(signature: Any, recent: Sequence[int | str]) -> dict[str, np.ndarray]:
    """Build the inputs of `retrieve` for one user (B = 1).

    Args:
      signature: `SignatureDef` message of `retrieve`; it says which dtype ids have.
      recent: ids of the items the user engaged with, newest first; may be empty.

    Returns:
      `recent` [1, H] and `num_recent` [1] int32.

    Raises:
      E2EGRecError: an id of the wrong type, or a signature with other inputs.
    """
    _require_inputs(signature, RETRIEVE_SIGNATURE, {"recent", "num_recent"})
    ids, number = id_list("recent", recent, signature.inputs["recent"])
    return {"recent": ids, "num_recent": np.array([number], np.int32)}


def embed_inputs(signature: Any, items: Sequence[int | str]) -> dict[str, np.ndarray]:
    """Build the inputs of `embed`.

    Args:
      signature: `SignatureDef` message of `embed`.
      items: item ids.

    Returns:
      `items` [n].

    Raises:
      E2EGRecError: as `retrieve_inputs`; also for an empty list.
    """
    _require_inputs(signature, EMBED_SIGNATURE, {"items"})
    if len(items) == 0:
        raise E2EGRecError("there is nothing to embed: give at least one item")
    return {"items": id_array("items", items, signature.inputs["items"])}


def _require_inputs(signature: Any, name: str, wanted: set[str]) -> None:
    if set(signature.inputs) != wanted:
        raise E2EGRecError(
            f"the model's {name} signature takes {', '.join(sorted(signature.inputs)) or 'nothing'} instead of "
            f"{', '.join(sorted(wanted))}: export it with this library"
        )
