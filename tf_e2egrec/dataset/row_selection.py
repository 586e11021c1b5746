"""Which rows of a log train the ranker, and which make the graph."""

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.column_values import is_one_of
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.interaction_log import InteractionLog
from tf_e2egrec.dataset.description.row_filter import RowFilter
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW
from tf_e2egrec.dataset.ids import hash_uniform


def graph_filters(description: DatasetDescription) -> list[RowFilter]:
    """The filters of the graph's rows; those of the ranker with `graph.regime: equal`."""
    return description.ranker.rows if description.graph.regime == "equal" else description.graph.rows


def filters_of(log: InteractionLog, description: DatasetDescription) -> dict[str, RowFilter]:
    """The filters that look at a log's rows: the description's key (`ranker.rows.0`) -> filter."""
    groups: dict[str, list[RowFilter]] = {}
    if log.feeds != "graph":
        groups["ranker.rows"] = description.ranker.rows
    if log.feeds != "ranker":
        groups["graph.rows" if description.graph.regime != "equal" else "ranker.rows"] = graph_filters(
            description
        )
    return {f"{key}.{i}": one for key, filters in groups.items() for i, one in enumerate(filters)}


def passing_rows(
    filters: Sequence[RowFilter],
    table: pa.Table,
    user: np.ndarray,
    item: np.ndarray,
    *,
    domain: str,
    seed: int,
) -> np.ndarray:
    """Rows for which every filter holds.

    Args:
      filters: conditions; none means that every row passes.
      table: the rows [n], with the columns the filters name.
      user, item: int64 [n] keys, domain included.
      domain: the log's item domain.
      seed: of the shares of users and items.

    Returns:
      bool [n].
    """
    passing = np.ones(len(user), bool)
    for one in filters:
        if one.column is not None and one.in_ is not None:
            passing &= is_one_of(table.column(one.column).combine_chunks(), one.in_, one.column)
        elif one.users_share is not None:
            passing &= hash_uniform(seed, user) < one.users_share
        elif one.items_share is not None:
            passing &= hash_uniform(seed, item) < one.items_share
        else:
            passing &= one.domain == domain
    return passing


def row_roles(
    table: pa.Table, user: np.ndarray, item: np.ndarray, log: InteractionLog, description: DatasetDescription
) -> tuple[np.ndarray, np.ndarray]:
    """What each row is used for.

    Args:
      table: the rows [n], with the columns the filters name.
      user, item: int64 [n] keys.
      log: the log they come from.
      description: the filters, the regime and the seed.

    Returns:
      uint8 [n], `RANKER_ROW` | `GRAPH_ROW`, 0 where the row is used for nothing;
      bool [n], the rows to keep: those with a role and, where the stay label is the gap to the user's next
      event, the other rows of the ranker's users, because such a gap ends at an event that is filtered out,
      too.
    """
    role = np.zeros(len(user), np.uint8)
    needed = np.zeros(len(user), bool)
    passing = functools.partial(
        passing_rows, table=table, user=user, item=item, domain=log.domain, seed=description.seed
    )
    if log.feeds != "graph":
        rows = description.ranker.rows
        role[passing(rows)] |= RANKER_ROW
        if log.stay is not None and log.stay.gap_to_next:
            needed = passing([one for one in rows if one.users_share is not None])
    if log.feeds != "ranker":
        role[passing(graph_filters(description))] |= GRAPH_ROW
    return role, needed | (role > 0)
