"""`FreshItem`: a candidate that the exported tables lack, or know otherwise."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class FreshItem:
    """What a ranking request says about one of its candidates.

    Attributes:
      item_id: the candidate.
      features: value by item feature; a list for multi-valued and dense ones, text or integer for categorical ones. What is
        left out is missing.
      neighbours: edge weight (the Swing score) by item id, heaviest first; the exported fanout's number is used.
    """

    item_id: int | str
    features: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    neighbours: Mapping[int | str, float] = dataclasses.field(default_factory=dict)
