"""Which ids are text, found out from the first rows of each log."""

import functools
import itertools

from beam_pipelines.transforms.file_patterns import match_files, open_raw
from tf_e2egrec.dataset.canonical import canonicalise, columns_of_log
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.log_reader import read_table_blocks
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError


def logged_id_kinds(description: DatasetDescription) -> dict[str, dict[str, str]]:
    """`ReadReport.kinds` of the first block of each log; a log with several kinds is refused by `EventsByUser`.

    Raises:
      E2EGRecError: no file matches, or it cannot be read.
    """
    report = ReadReport()
    for number, log in enumerate(description.interactions):
        path = match_files(log.paths, description.data_root, f"interactions.{number}.paths")[0].path
        report.origin = path
        columns = columns_of_log(log, number, description)
        blocks = read_table_blocks(functools.partial(open_raw, path), log, columns, path, part=0)
        for table in itertools.islice(blocks, 1):
            canonicalise(table, log, number, description, report)
    return report.kinds


def require_same_kinds(logged: dict[str, dict[str, str]], described: dict[str, dict[str, str]]) -> None:
    """Refuse feature tables whose ids are integers where the log's are text, or the other way round.

    Args:
      logged: `logged_id_kinds`.
      described: `ReadReport.kinds` of the feature tables.

    Raises:
      E2EGRecError: no id of the table would ever be found.
    """
    for what in sorted(logged.keys() & described.keys()):
        if logged[what].keys() != described[what].keys():
            (kind, where), (other, elsewhere) = min(logged[what].items()), min(described[what].items())
            raise E2EGRecError(
                f"{what} are {kind} in {where} but {other} in {elsewhere}: equal ids would not be found; "
                "store them with one type everywhere (Parquet keeps digits as text)"
            )


def string_columns(kinds: dict[str, dict[str, str]], description: DatasetDescription) -> list[str]:
    """Which of `user`, `item` and the context features are text in the ranker's logs, and so in requests."""
    domains = {log.domain for log in description.interactions if log.feeds != "graph"}
    named = {"user": ["user ids"], "item": [f"item ids of domain `{domain}`" for domain in sorted(domains)]}
    named |= {
        spec.name: [f"values of the context feature `{spec.name}`"] for spec in description.context_features
    }
    return [name for name, keys in named.items() if any("text" in kinds.get(key, {}) for key in keys)]
