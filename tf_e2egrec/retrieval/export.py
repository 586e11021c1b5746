"""A trained retrieval model out as a SavedModel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from tf_e2egrec.dataset.artefact import publish
from tf_e2egrec.export.servable import save_servable
from tf_e2egrec.retrieval.recommendation_module import RecommendationModule
from tf_e2egrec.retrieval.splits import RetrievalSplit
from tf_e2egrec.retrieval.train import VECTORS_FILE


def export_recommender(
    trained: Path,
    split: RetrievalSplit,
    to: Path,
    k: int,
    finish: Callable[[Path], None] | None = None,
    texts: np.ndarray | None = None,
    users_are_text: bool = False,
) -> Path:
    """Write a SavedModel with the signatures of `RecommendationModule`.

    All pairs of the split, tested ones included, are left out of a user's answer.

    Args:
      trained: the directory of a trained model.
      split: what it was trained on.
      to: gets a directory with the next version number.
      k: how many items an answer has.
      finish: called with the directory before it is published, to add what servers want beside the model.
      texts, users_are_text: which ids are text; see `RecommendationModule`.

    Returns:
      The directory of the version.
    """
    seen = sp.csr_array(split.train + split.valid + split.test)
    seen.sort_indices()
    with np.load(trained / VECTORS_FILE) as arrays:
        module = RecommendationModule(
            split.user_keys,
            split.item_keys,
            arrays["users"],
            arrays["items"],
            arrays["history"],
            seen,
            np.asarray(split.train.sum(axis=0)).ravel(),
            k,
            texts,
            users_are_text,
        )
    versions = [int(path.name) for path in to.glob("*") if path.name.isdecimal()]
    target = to / str(max(versions, default=0) + 1)
    with publish(target) as staging:
        save_servable(module, module.signatures(), staging)
        if finish is not None:
            finish(staging)
    return target
