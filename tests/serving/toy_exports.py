"""Exports of the toy model, with warm-up records of every signature."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.warmup import WARMUP_FILE, write_warmup_requests
from tests.export.export_toys import as_table_has_them, requests, toy_module
from tests.toy_data import serialize, toy_records
from tf_e2egrec.export.servable import save_servable

LISTS = [[100, 118, 127, 105, 119], [101, 987_654], [129, 104, -1]]
RECENT = [[102, 118, 102, 104, 105, 106], [103], [129, 555_555]]


def toy_requests() -> list[tuple[str, dict[str, np.ndarray]]]:
    """Requests of every signature, with lists of several lengths, unknown ids and fresh items."""
    rank = [
        requests([user], [candidates], [recent])
        for user, candidates, recent in zip([3, 7, 999], LISTS, RECENT, strict=True)
    ]
    rank.append(requests([3, 7, 999], LISTS, RECENT))
    new = as_table_has_them([104, 103]) | {"fresh": tf.constant([[987_654, 129]], tf.int64)}
    made: list[tuple[str, dict[str, Any]]] = [("rank", one) for one in rank]
    made += [("rank_fresh", one | new) for one in rank[:3]]
    made += [("embed", {"items": np.array([100, 129, 555_555, -1])})]
    made += [("serving_default", {"examples": serialize(toy_records(count))}) for count in (1, 4)]
    return [(name, {alias: np.asarray(value) for alias, value in inputs.items()}) for name, inputs in made]


def toy_export(folder: Path, kind: str = "hybrid", version: int = 1) -> Any:
    """Write FOLDER/<version>; returns the module, which answers as the export must."""
    module = toy_module(kind)
    save_servable(module, module.signatures(), folder / str(version))
    write_warmup_requests(folder / str(version) / WARMUP_FILE, "any", toy_requests())
    return module
