"""The rows of the logs that a leak check asks for, read without the pipeline that made the graph."""

from collections.abc import Sequence

import numpy as np

from tf_e2egrec.dataset.assemble import assemble_users
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw, log_blocks
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.evaluation.leak_checks import LoggedRows


def allowed_events(
    description: DatasetDescription, files: LogFiles, open_raw: OpenRaw, users: np.ndarray, items: np.ndarray
) -> EventBlock:
    """The rows of these users or items that the regime lets the graph see.

    With the regime `equal` these are the ranker's rows, whatever the graph's stage took for its own.

    Args:
      description: the data set.
      files: every file of every log.
      open_raw: opens a path's bytes.
      users, items: sorted int64 keys.

    Returns:
      The events; of logs that know only ranks, every user is read, because pseudo-time needs all rows.
    """
    wanted = []
    for block in log_blocks(description, files, open_raw, ReadReport()):
        is_wanted = np.isin(block.user, users) | np.isin(block.item, items)
        wanted.append(block if description.time_is_rank else block.take(is_wanted))
    if description.time_is_rank:
        events = assemble_users(wanted, description)
        events = events.take(np.isin(events.user, users) | np.isin(events.item, items))
    else:
        events = EventBlock.concatenate(wanted)
    role = RANKER_ROW if description.graph.regime == "equal" else GRAPH_ROW
    return events.take((events.role & role) > 0)


def all_events(description: DatasetDescription, files: LogFiles, open_raw: OpenRaw) -> EventBlock:
    """Every row that feeds the ranker or the graph, without exact duplicates.

    Args:
      description: the data set.
      files: every file of every log.
      open_raw: opens a path's bytes.
    """
    return assemble_users(log_blocks(description, files, open_raw, ReadReport()), description)


def rows_with(events: EventBlock, description: DatasetDescription, behaviours: Sequence[str]) -> LoggedRows:
    """The events on which any of the behaviours happened."""
    names = description.behaviour_names
    bits = np.uint32(sum(1 << names.index(name) for name in behaviours))
    happened = (events.behaviours & bits) > 0
    return LoggedRows(events.user, events.item, events.time).take(happened)
