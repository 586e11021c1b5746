"""`RowFacts`: what is known of the test rows besides labels and predictions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class RowFacts(NamedTuple):
    """Columns of the n test rows, in the order of the predictions.

    Attributes:
      slices: what the rows are sliced by: `item_age` int64 [n] milliseconds (-1 where unknown) and `fresh` bool [n] (both
        absent where time is a rank), `item_popularity`, `user_activity`, `neighbours`, int64 [n] counts.
      baselines: name of a stay baseline -> the seconds it predicts, float32 [n]; empty without stay labels.
      graph: the kind of edges whose neighbours were counted.
    """

    slices: Mapping[str, np.ndarray] = {}
    baselines: Mapping[str, np.ndarray] = {}
    graph: str = ""


NO_FACTS = RowFacts()
