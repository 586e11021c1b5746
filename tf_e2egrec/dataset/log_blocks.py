"""All rows of a description's logs, without a pipeline."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from tf_e2egrec.dataset.canonical import canonicalise, columns_of_log
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.log_reader import file_parts, read_table_blocks
from tf_e2egrec.dataset.read_report import ReadReport

LogFiles = Sequence[tuple[int, str]]  # (number of the log, path)
OpenRaw = Callable[[str], BinaryIO]


def log_blocks(
    description: DatasetDescription, files: LogFiles, open_raw: OpenRaw, report: ReadReport
) -> Iterator[EventBlock]:
    """The rows of files, block by block.

    Args:
      description: the data set.
      files: the files to read.
      open_raw: opens a path's bytes.
      report: is filled while the blocks are taken.

    Raises:
      E2EGRecError: a file or a column is missing, damaged or of another type.
    """
    for number, path in files:
        log = description.interactions[number]
        columns = columns_of_log(log, number, description)
        opener = functools.partial(open_raw, path)
        report.origin = path
        for part in file_parts(opener, log, path):
            for table in read_table_blocks(opener, log, columns, path, part=part):
                yield canonicalise(table, log, number, description, report)
