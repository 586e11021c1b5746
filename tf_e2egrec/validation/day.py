"""`Day`: the rows that are compared with other rows."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.events import RANKER_ROW, EventBlock
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.node_table import NodeTable

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclasses.dataclass(frozen=True)
class Day:
    """Rows of logs in columns; all arrays have the length n.

    Attributes:
      name: what the report calls them.
      user, item: int64 keys.
      behaviours: bool by name of the behaviour.
      numbers: float32 or float64 by name of the feature or label; NaN where missing.
      categories: int64 keys by name of the feature; -1 where missing.
      bad_rows: share of the rows read that cannot be used; NaN where it is not known.
      duplicate_rows: the same for rows that equal another one.
    """

    name: str
    user: np.ndarray
    item: np.ndarray
    behaviours: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    categories: Mapping[str, np.ndarray]
    bad_rows: float = float("nan")
    duplicate_rows: float = float("nan")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.user)

    @staticmethod
    def from_events(
        events: EventBlock,
        description: DatasetDescription,
        name: str,
        tables: Mapping[str, NodeTable] | None = None,
        bad_rows: float = float("nan"),
        duplicate_rows: float = float("nan"),
    ) -> "Day":
        """The columns of events: behaviours, labels, context, hour of the day, and features of items and users.

        Args:
          events: rows; those of the ranker are taken.
          description: the data set.
          name: what the report calls them.
          tables: `item` and `user` -> their features; multi-valued and dense ones are left out.
          bad_rows, duplicate_rows: see `Day`.
        """
        events = events.take((events.role & RANKER_ROW) > 0)
        bits = {one: np.uint32(1 << place) for place, one in enumerate(description.behaviour_names)}
        numbers: dict[str, np.ndarray] = {}
        categories: dict[str, np.ndarray] = {}
        if description.has_stay:
            numbers["stay"] = events.stay
        if not description.time_is_rank:
            categories["hour of day"] = events.time % DAY_MS // HOUR_MS
        columns = dict(events.context)
        for group, keys in (("item", events.item), ("user", events.user)):
            table = (tables or {}).get(group)
            if table is not None and len(table):
                rows = table.lookup(keys)
                columns |= {f"{group}/{one}": _at(values, rows) for one, values in table.features.items()}
        for one, values in columns.items():
            if values.ndim == 1:
                (categories if values.dtype == np.int64 else numbers)[one] = values
        return Day(
            name=name,
            user=events.user,
            item=events.item,
            behaviours={one: (events.behaviours & bit) > 0 for one, bit in bits.items()},
            numbers=numbers,
            categories=categories,
            bad_rows=bad_rows,
            duplicate_rows=duplicate_rows,
        )


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values[rows]`, missing where a row is -1."""
    found = values[np.maximum(rows, 0)]
    found[rows < 0] = MISSING_KEY if values.dtype == np.int64 else np.nan
    return found
