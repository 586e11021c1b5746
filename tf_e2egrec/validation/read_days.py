"""The days of a description's logs, read without a pipeline."""

import datetime
from collections.abc import Mapping

import numpy as np

from tf_e2egrec.dataset.assemble import assemble_users
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw, log_blocks
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.read_checks import check_kinds
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.validation.day import DAY_MS, Day


def read_whole(
    description: DatasetDescription,
    files: LogFiles,
    open_raw: OpenRaw,
    tables: Mapping[str, NodeTable],
    name: str,
) -> Day:
    """Every row of the logs as one day.

    Args:
      description: the data set.
      files: every file of every log.
      open_raw: opens a path's bytes.
      tables: features by `item` and `user`.
      name: what the report calls it.

    Raises:
      E2EGRecError: a file or a column is missing, damaged or of another type, or no row can be used.
    """
    events, report = _read(description, files, open_raw)
    read = max(1, _sum(report, "rows_read"))
    shares = _sum(report, "bad_rows") / read, report.counters.get("duplicate_rows", 0) / read
    return Day.from_events(events, description, name, tables, *shares)


def read_two_days(
    description: DatasetDescription,
    files: LogFiles,
    open_raw: OpenRaw,
    tables: Mapping[str, NodeTable],
    day: datetime.date | None = None,
) -> tuple[Day, Day]:
    """A day (UTC) and the last one before it that has rows.

    Args:
      description, files, open_raw, tables: as in `read_whole`.
      day: which; the newest when absent.

    Returns:
      (the day before, the day).

    Raises:
      E2EGRecError: as `read_whole`; or the logs have no times, or no such days.
    """
    if description.time_is_rank:
        raise E2EGRecError(
            f"the logs of {description.name} know no days (`time.unit: rank`); compare two descriptions with --against"
        )
    events, _ = _read(description, files, open_raw)
    days = np.unique(events.time // DAY_MS)
    chosen = int(days[-1]) if day is None else (day - datetime.date(1970, 1, 1)).days
    earlier = days[days < chosen]
    if chosen not in days or not len(earlier):
        raise E2EGRecError(
            f"the logs of {description.name} have rows on {', '.join(map(_name, days[-5:]))}: there is no {_name(chosen)} with a day "
            "before it; choose another --day, or give --against"
        )
    found = [
        Day.from_events(events.take(events.time // DAY_MS == one), description, _name(one), tables)
        for one in (int(earlier[-1]), chosen)
    ]
    return found[0], found[1]


def _name(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


def _sum(report: ReadReport, what: str) -> int:
    return sum(count for name, count in report.counters.items() if name.endswith(f"/{what}"))


def _read(
    description: DatasetDescription, files: LogFiles, open_raw: OpenRaw
) -> tuple[EventBlock, ReadReport]:
    report = ReadReport()
    events = assemble_users(log_blocks(description, files, open_raw, report), description, report.counters)
    check_kinds(report)
    if not len(events):
        raise E2EGRecError(
            f"the logs of {description.name} have no row that can be used ({_sum(report, 'rows_read')} were read); "
            "check `interactions.paths` and the columns that it names"
        )
    return events, report
