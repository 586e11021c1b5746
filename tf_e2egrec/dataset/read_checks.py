"""What must hold once every log has been read."""

from collections.abc import Mapping

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.interaction_log import InteractionLog
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

_MUST_NOT_BE_EMPTY = {
    "ranker_rows": "no row is left to train the ranker; check `ranker.rows` and the logs' `feeds`",
    "reward_rows": "the reward `{reward}` never happens in the ranker's rows; check it and `ranker.rows`",
    "graph_rows": "no row is left to make the graph; check `graph.rows` and the logs' `feeds`",
    "graph_positive_rows": "no row of the graph has `graph.positive` ({positive}); check `graph.rows`",
}


def check_report(report: ReadReport, description: DatasetDescription) -> None:
    """`check_kinds` and `check_counts`.

    Raises:
      E2EGRecError: the first thing that does not hold.
    """
    check_kinds(report)
    check_counts(report.counters, description, report.examples)


def check_kinds(report: ReadReport) -> None:
    """Every kind of id is an integer everywhere or a text everywhere.

    Raises:
      E2EGRecError: the first thing that is both.
    """
    for what, seen in sorted(report.kinds.items()):
        if len(seen) > 1:
            (kind, where), (other, elsewhere) = sorted(seen.items())[:2]
            raise E2EGRecError(
                f"{what} are {kind} in {where} but {other} in {elsewhere}: equal ids would not be found; "
                "store them with one type everywhere (Parquet keeps digits as text)"
            )


def check_counts(
    counters: Mapping[str, int],
    description: DatasetDescription,
    examples: Mapping[str, list[str]] | None = None,
) -> None:
    """Refuse logs with too many bad rows, without rows, without positives, or with nothing but positives.

    Args:
      counters: those that `canonicalise` fills, over all logs.
      description: the data set.
      examples: values that made rows bad, by counter.

    Raises:
      E2EGRecError: the first thing that does not hold.
    """
    for i, log in enumerate(description.interactions):
        key = f"interactions.{i}"
        read, bad = counters.get(f"{key}/rows_read", 0), counters.get(f"{key}/bad_rows", 0)
        paths = ", ".join(log.paths)
        if read == 0:
            raise E2EGRecError(f"the log `{paths}` (`{key}`) has no rows; check `{key}.paths`")
        if bad > description.bad_rows * read:
            raise E2EGRecError(
                f"{bad} of {read} rows of `{paths}` cannot be used (`bad_rows` allows a share of "
                f"{description.bad_rows:.4g}): "
                + _worst_column(counters, f"{key}/bad_rows/", examples or {}, log)
            )
    for counter, message in _MUST_NOT_BE_EMPTY.items():
        if counters.get(counter, 0) == 0:
            reward, positive = description.ranker.reward, ", ".join(description.graph.positive)
            raise E2EGRecError(message.format(reward=reward, positive=positive))
    if description.ranker.negatives is None and counters["reward_rows"] == counters["ranker_rows"]:
        raise E2EGRecError(
            f"all {counters['ranker_rows']} rows that train the ranker have the reward `{description.ranker.reward}`: "
            "there is nothing to tell them from; declare `ranker.negatives` to sample negatives"
        )


def _worst_column(
    counters: Mapping[str, int], prefix: str, examples: Mapping[str, list[str]], log: InteractionLog
) -> str:
    """The part of a sentence that names the column with the most bad rows, and what stands there."""
    by_column = {
        name.removeprefix(prefix): rows for name, rows in counters.items() if name.startswith(prefix)
    }
    column = max(sorted(by_column), key=lambda name: by_column[name])
    found = examples.get(prefix + column, [])
    shown = f"; found there: {', '.join(found)}" if found else ""
    hint = ""
    if found and any(one.column == column and one.in_ is None for one in log.behaviours.values()):
        hint = "; where a behaviour is written as words, name those that count, as in `in: [yes]`"
    return f"column `{column}` is missing, negative or unreadable in {by_column[column]} rows{shown}{hint}"
