"""The interactions of a log: who had to do with what, and when."""

from typing import NamedTuple

import numpy as np

from tf_e2egrec.dataset.assemble import assemble_users
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw, log_blocks
from tf_e2egrec.dataset.read_checks import check_report
from tf_e2egrec.dataset.read_report import ReadReport


class Interactions(NamedTuple):
    """n interactions; a pair of user and item may come several times.

    Attributes:
      user, item: int64 [n] keys.
      time: int64 [n], `EventBlock.time` units.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray


def read_interactions(
    description: DatasetDescription, files: LogFiles, open_raw: OpenRaw
) -> tuple[Interactions, ReadReport]:
    """Read the rows on which any behaviour of `recommend.behaviours` (else `graph.positive`) happened.

    Args:
      description: the data set.
      files: the files to read.
      open_raw: opens a path's bytes.

    Returns:
      The interactions in the order of `EventBlock.sorted`, whatever the order of rows and files; and the read's counters and kinds
      of ids.

    Raises:
      E2EGRecError: a file cannot be read, or more rows cannot be used than `bad_rows` allows.
    """
    report = ReadReport()
    blocks = list(log_blocks(description, files, open_raw, report))
    check_report(report, description)
    events = assemble_users(blocks, description, report.counters)
    names = description.behaviour_names
    wanted = description.recommend.behaviours or description.graph.positive
    happened = (events.behaviours & np.uint32(sum(1 << names.index(name) for name in wanted))) > 0
    kept = events.take(happened)
    return Interactions(kept.user, kept.item, kept.time), report
