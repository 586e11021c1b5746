"""From the columns of a log to an `EventBlock`."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.column_values import numbers_from_column, where_happened
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.description.interaction_log import InteractionLog
from tf_e2egrec.dataset.description.stay_spec import SECONDS_PER_UNIT
from tf_e2egrec.dataset.description.time_spec import TimeSpec
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.dataset.ids import KEY_BITS, MAX_DOMAINS, MISSING_KEY, domain_keys, keys_from_column
from tf_e2egrec.dataset.read_report import MAX_EXAMPLES, USER_IDS, ReadReport, item_ids
from tf_e2egrec.dataset.row_selection import filters_of, row_roles
from tf_e2egrec.dataset.time_axis import milliseconds_from_column
from tf_e2egrec.errors import E2EGRecError

MAX_BEHAVIOURS = 32  # bits of `EventBlock.behaviours`


def columns_of_log(log: InteractionLog, log_index: int, description: DatasetDescription) -> dict[str, str]:
    """The columns a log must have: column -> the first key of the description that names it."""
    here = f"interactions.{log_index}"
    named = [(log.user, f"{here}.user"), (log.item, f"{here}.item"), (log.time.column, f"{here}.time.column")]
    named += [
        (spec.column or "", f"{here}.behaviours.{name}.column") for name, spec in log.behaviours.items()
    ]
    if log.feeds != "graph":
        if log.stay is not None:
            named += [
                (getattr(log.stay, key) or "", f"{here}.stay.{key}")
                for key in ("column", "session", "content_duration")
            ]
        named += [(feature.source_column, f"{here}.context.{i}") for i, feature in enumerate(log.context)]
    named += [(one.column or "", f"{key}.column") for key, one in filters_of(log, description).items()]
    return {column: key for column, key in reversed(named) if column}


def logged_context(description: DatasetDescription) -> list[FeatureSpec]:
    """The context features that logs hold, without those the pipeline derives."""
    return [
        feature for feature in description.context_features if feature.name not in description.ranker.derived
    ]


def gap_log_number(log_index: int, description: DatasetDescription) -> int | None:
    """The log's position among those whose stay label is the gap to the next event; None for other logs.

    Session keys carry it in the bits above `KEY_BITS`, as item keys carry their domain: sessions of two logs
    never meet.
    """
    gaps = [
        i
        for i, log in enumerate(description.interactions)
        if log.feeds != "graph" and log.stay and log.stay.gap_to_next
    ]
    if len(gaps) > MAX_DOMAINS:
        raise E2EGRecError(f"{len(gaps)} logs have `stay.gap_to_next`; at most {MAX_DOMAINS} are possible")
    return gaps.index(log_index) if log_index in gaps else None


def canonicalise(
    table: pa.Table, log: InteractionLog, log_index: int, description: DatasetDescription, report: ReadReport
) -> EventBlock:
    """Turn rows of a log into events.

    Rows with a missing id, an unreadable time, or a negative or unreadable number are left out and counted.
    Counters: `interactions.<i>/rows_read`, `interactions.<i>/bad_rows`, `interactions.<i>/bad_rows/<column>`,
    `filtered_rows` (used neither by the ranker nor by the graph), `ranker_rows`, `reward_rows` (ranker rows
    with the reward), `graph_rows`, `graph_positive_rows`.

    Args:
      table: rows with the columns of `columns_of_log`, one chunk each.
      log: the log they come from.
      log_index: its position in `description.interactions`.
      description: the data set.
      report: receives counters, examples of bad values, and the kinds of ids.

    Returns:
      The good rows that have a role, in the order of the table, and with `stay.gap_to_next` also rows without
      a role that end a gap (`assemble_users` removes them). `stay` is still NaN for such logs, and `time`
      still the rank for `unit: rank`.

    Raises:
      E2EGRecError: a column's type does not fit, or the unit of time is wrong.
    """
    rows = _Rows(table, report)
    user = rows.keys(log.user, USER_IDS)
    item = rows.keys(log.item, item_ids(log.domain))
    time = _times(rows, log.time)
    rows.reject(log.user, user == MISSING_KEY)
    rows.reject(log.item, item == MISSING_KEY)
    rows.reject(log.time.column, time < 0)
    item = domain_keys(item, description.domains.index(log.domain))
    behaviours = _behaviour_bits(rows, log, description)
    stay, content_duration = _durations(rows, log)
    session = _session_keys(rows, log, gap_log_number(log_index, description))
    context = {feature.name: _context(rows, log, feature) for feature in logged_context(description)}
    role, needed = row_roles(table, user, item, log, description)

    events = EventBlock(user, item, time, behaviours, role, stay, content_duration, session, context)
    good = rows.good(f"interactions.{log_index}")
    _count_roles(events.take(good), description, report)
    return events.take(good & needed)


class _Rows:
    """The columns of a table, and which of its rows are bad."""

    def __init__(self, table: pa.Table, report: ReadReport) -> None:
        self.table = table
        self.report = report
        self._bad: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    def array(self, column: str) -> pa.Array:
        """The column as one array; a column without any value counts as integers."""
        chunks = self.table.column(column)
        array = (
            chunks.chunk(0)
            if chunks.num_chunks == 1
            else pa.concat_arrays(chunks.chunks or [pa.array([], chunks.type)])
        )
        return array.cast(pa.int64()) if pa.types.is_null(array.type) else array

    def keys(self, column: str, what: str) -> np.ndarray:
        """Keys of an id or category column; notes whether they come from integers or from text."""
        if len(self):
            self.report.add_kind(what, column, self.table.schema.field(column).type)
        return keys_from_column(self.array(column), column)

    def numbers(self, column: str, can_be_negative: bool) -> np.ndarray:
        """Numbers, NaN where there is none; other text and forbidden negative numbers make a row bad."""
        values, unreadable = numbers_from_column(self.array(column), column)
        self.reject(column, unreadable if can_be_negative else unreadable | (values < 0))
        return values

    def reject(self, column: str, bad: np.ndarray) -> None:
        """Declare rows bad because of a column."""
        self._bad[column] = self._bad[column] | bad if column in self._bad else bad

    def good(self, key: str) -> np.ndarray:
        """Rows that are not bad; counts the others."""
        self.report.count(f"{key}/rows_read", len(self))
        good = np.ones(len(self), bool)
        for column, bad in self._bad.items():
            if bad.any():
                counter = f"{key}/bad_rows/{column}"
                self.report.count(counter, bad.sum())
                self.report.add_examples(counter, self._texts(column, bad))
                good &= ~bad
        self.report.count(f"{key}/bad_rows", len(self) - good.sum())
        return good

    def _texts(self, column: str, bad: np.ndarray) -> Iterator[str]:
        distinct = self.array(column).filter(pa.array(bad)).unique().slice(0, 100)
        texts = ["missing" if value is None or value == "" else str(value) for value in distinct.to_pylist()]
        return iter(sorted(texts)[:MAX_EXAMPLES])


def _times(rows: _Rows, spec: TimeSpec) -> np.ndarray:
    """int64 [n]; negative where the time is missing or unreadable."""
    if pa.types.is_null(rows.table.schema.field(spec.column).type):
        return np.full(len(rows), -1, np.int64)
    return milliseconds_from_column(rows.array(spec.column), spec.unit, spec.column)


def _behaviour_bits(rows: _Rows, log: InteractionLog, description: DatasetDescription) -> np.ndarray:
    names = description.behaviour_names
    if len(names) > MAX_BEHAVIOURS:
        raise E2EGRecError(f"the logs declare {len(names)} behaviours; at most {MAX_BEHAVIOURS} are possible")
    bits = np.zeros(len(rows), np.uint32)
    for name, spec in log.behaviours.items():
        bit = np.uint32(1 << names.index(name))
        if spec.column is None:
            bits |= bit
            continue
        happened, unreadable = where_happened(rows.array(spec.column), spec, spec.column)
        rows.reject(spec.column, unreadable)
        bits[happened] |= bit
    return bits


def _durations(rows: _Rows, log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """Stay and content duration, float32 seconds [n]; NaN where the log has none."""
    stay = content = np.full(len(rows), np.nan, np.float32)
    spec = log.stay if log.feeds != "graph" else None
    if spec is not None and spec.column is not None:
        seconds = rows.numbers(spec.column, can_be_negative=False) * SECONDS_PER_UNIT[spec.unit]
        stay = np.minimum(seconds, spec.maximum).astype(np.float32)
    if spec is not None and spec.content_duration is not None:
        seconds = (
            rows.numbers(spec.content_duration, can_be_negative=False) * SECONDS_PER_UNIT[spec.content_unit]
        )
        content = seconds.astype(np.float32)
    return stay, content


def _session_keys(rows: _Rows, log: InteractionLog, gap_log: int | None) -> np.ndarray:
    """int64 [n], -1 where the log needs no sessions or the row names none.

    Without a session column, a user's rows of the log are one session.
    """
    if gap_log is None or log.stay is None:
        return np.full(len(rows), MISSING_KEY, np.int64)
    if log.stay.session is None:
        return np.full(len(rows), gap_log << KEY_BITS, np.int64)
    return domain_keys(rows.keys(log.stay.session, f"sessions of log {gap_log}"), gap_log)


def _context(rows: _Rows, log: InteractionLog, feature: FeatureSpec) -> np.ndarray:
    declared = {one.name: one for one in log.context} if log.feeds != "graph" else {}
    own = declared.get(feature.name)
    if feature.type == "categorical":
        if own is None:
            return np.full(len(rows), MISSING_KEY, np.int64)
        return rows.keys(own.source_column, f"values of the context feature `{feature.name}`")
    if own is None:
        return np.full(len(rows), np.nan, np.float32)
    # + 0.0 turns -0.0 into 0.0: equal values must have equal bytes.
    return (rows.numbers(own.source_column, can_be_negative=True) + 0.0).astype(np.float32)


def _count_roles(events: EventBlock, description: DatasetDescription, report: ReadReport) -> None:
    names = description.behaviour_names
    reward = np.uint32(1 << names.index(description.ranker.reward))
    positive = np.uint32(sum(1 << names.index(name) for name in set(description.graph.positive)))
    is_ranker, is_graph = (events.role & RANKER_ROW) > 0, (events.role & GRAPH_ROW) > 0
    report.count("filtered_rows", (events.role == 0).sum())
    report.count("ranker_rows", is_ranker.sum())
    report.count("reward_rows", (is_ranker & ((events.behaviours & reward) > 0)).sum())
    report.count("graph_rows", is_graph.sum())
    report.count("graph_positive_rows", (is_graph & ((events.behaviours & positive) > 0)).sum())
