"""`EventsByUser`: the logs, read, cleaned and grouped by user."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from beam_pipelines.progress import advance
from beam_pipelines.transforms.file_patterns import match_files, open_raw
from tf_e2egrec.dataset.assemble import assemble_users
from tf_e2egrec.dataset.canonical import canonicalise, columns_of_log
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.ids import MISSING_KEY, hash_keys
from tf_e2egrec.dataset.log_reader import file_parts, read_table_blocks
from tf_e2egrec.dataset.radix_order import radix_order
from tf_e2egrec.dataset.read_checks import check_report
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

COUNTER_NAMESPACE = "e2egrec"

_PARTITION_SEED = 0x7573657273  # not a description's seed: shares of users must spread
_MAX_PACKED_BYTES = 48 << 20  # elements beyond about 64 MB make runners' shuffles fail
_REPORTS = "reports"


class EventsByUser(beam.PTransform):
    """Reads every log of a description: pipeline -> (partition, packed `EventBlock` of whole users).

    The events of one partition are in the order of `EventBlock.sorted`, complete per user, and independent of
    how the files are cut. Partitions without users are absent. Counters (namespace `e2egrec`): those of
    `canonicalise`, and `duplicate_rows`.

    The pipeline fails with an E2EGRecError where `check_report` finds fault (use `run_pipeline`, which
    unwraps it).

    Args:
      description: the data set.
      partitions: into how many groups the users are divided by hash.
      for_graph: leave out what the graph does not look at: stay, content duration, session and context are
        then missing values, and rows that differ in nothing else count as duplicates. Logs of ranks travel
        whole, because their pseudo-time depends on the number of distinct rows.

    Raises:
      E2EGRecError: at construction, where no file matches.
    """

    def __init__(self, description: DatasetDescription, partitions: int, *, for_graph: bool = False) -> None:
        super().__init__()
        self._description = description
        self._partitions = partitions
        self._for_graph = for_graph and not description.time_is_rank
        self._files = [
            (i, file.path)
            for i, log in enumerate(description.interactions)
            for file in match_files(log.paths, description.data_root, f"interactions.{i}.paths")
        ]

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[tuple[int, bytes]]:
        """Files -> parts -> rows by user partition -> whole users."""
        read = (
            pbegin
            | "LogFiles" >> beam.Create(self._files)
            | "FileParts" >> beam.ParDo(_FileParts(self._description))
            | "SpreadParts" >> beam.Reshuffle()
            | "RowsByPartition"
            >> beam.ParDo(
                _RowsByPartition(self._description, self._partitions, self._for_graph)
            ).with_outputs(_REPORTS, main="rows")
        )
        _ = (
            pbegin
            | "TheLogs" >> beam.Create([""])
            | "CheckedReport" >> beam.Map(_check, beam.pvalue.AsIter(read[_REPORTS]), self._description)
        )
        return (
            read["rows"]
            | "GroupByPartition" >> beam.GroupByKey()
            | "WholeUsers" >> beam.ParDo(_WholeUsers(self._description))
        )


def user_partition(user: np.ndarray, partitions: int) -> np.ndarray:
    """The partition of each user key; int64 [n] in [0, partitions)."""
    return (hash_keys(_PARTITION_SEED, user) % np.uint64(partitions)).astype(np.int64)


@beam.typehints.with_input_types(tuple[int, str])
@beam.typehints.with_output_types(tuple[int, str, int])
class _FileParts(beam.DoFn):
    """(log, path) -> (log, path, part): what can be read in parallel."""

    def __init__(self, description: DatasetDescription) -> None:
        self._description = description

    def process(self, element: tuple[int, str]) -> Iterator[tuple[int, str, int]]:
        log_index, path = element
        log = self._description.interactions[log_index]
        for part in file_parts(functools.partial(open_raw, path), log, path):
            yield log_index, path, part


@beam.typehints.with_input_types(tuple[int, str, int])
@beam.typehints.with_output_types(tuple[int, bytes])
class _RowsByPartition(beam.DoFn):
    """(log, path, part) -> (user partition, packed `EventBlock`), and one report per part."""

    def __init__(self, description: DatasetDescription, partitions: int, for_graph: bool) -> None:
        self._description = description
        self._partitions = partitions
        self._for_graph = for_graph

    def process(
        self, element: tuple[int, str, int]
    ) -> Iterator[tuple[int, bytes] | beam.pvalue.TaggedOutput[Literal["reports"], str]]:
        log_index, path, part = element
        log = self._description.interactions[log_index]
        columns = columns_of_log(log, log_index, self._description)
        report = ReadReport(origin=path)
        for table in read_table_blocks(functools.partial(open_raw, path), log, columns, path, part=part):
            try:
                events = canonicalise(table, log, log_index, self._description, report)
            except E2EGRecError as error:
                raise E2EGRecError(f"`{path}`: {error}") from None
            advance("rows read", table.num_rows)
            events = _without_ranker_columns(events) if self._for_graph else events
            yield from _packed_by_partition(events, self._partitions)
        for name, rows in report.counters.items():
            Metrics.counter(COUNTER_NAMESPACE, name).inc(rows)
        yield beam.pvalue.TaggedOutput(_REPORTS, report.to_json())


def _without_ranker_columns(events: EventBlock) -> EventBlock:
    """Missing values in the columns that only the ranker needs, and without the rows that only end a gap."""
    events = events if events.role.all() else events.take(events.role > 0)
    missing = np.full(len(events), np.nan, np.float32)
    no_key = np.full(len(events), MISSING_KEY, np.int64)
    return dataclasses.replace(
        events,
        stay=missing,
        content_duration=missing,
        session=no_key,
        context={
            name: no_key if values.dtype == np.int64 else missing for name, values in events.context.items()
        },
    )


def _packed_by_partition(events: EventBlock, partitions: int) -> Iterator[tuple[int, bytes]]:
    if len(events) == 0:
        return
    partition = user_partition(events.user, partitions)
    order = radix_order(partition)
    events, partition = events.take(order), partition[order]
    most_rows = max(1, _MAX_PACKED_BYTES // events.bytes_per_row)
    bounds = np.flatnonzero(np.r_[True, partition[1:] != partition[:-1], True])
    for start, end in itertools.pairwise(bounds):
        for first in range(start, end, most_rows):
            rows = slice(first, min(first + most_rows, end))
            yield int(partition[start]), events.take(rows).to_bytes()  # type: ignore[arg-type]


@beam.typehints.with_input_types(tuple[int, Iterable[bytes]])
@beam.typehints.with_output_types(tuple[int, bytes])
class _WholeUsers(beam.DoFn):
    """(partition, packed blocks) -> (partition, one packed block of whole users)."""

    def __init__(self, description: DatasetDescription) -> None:
        self._description = description

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        partition, packed = element
        counters: dict[str, int] = {}
        events = assemble_users(
            (EventBlock.from_bytes(block) for block in packed), self._description, counters
        )
        for name, rows in counters.items():
            Metrics.counter(COUNTER_NAMESPACE, name).inc(rows)
        if len(events):
            yield partition, events.to_bytes()


def _check(_: str, reports: Iterable[str], description: DatasetDescription) -> None:
    check_report(ReadReport.merged(reports), description)
