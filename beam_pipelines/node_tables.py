"""The feature tables of a description, read from any file system that Beam reaches."""

import functools
from collections.abc import Sequence

from beam_pipelines.transforms.file_patterns import match_files, open_raw
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.entity_table import EntityTable
from tf_e2egrec.dataset.log_reader import OpenFile
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.node_table_reader import read_node_table
from tf_e2egrec.dataset.read_report import ReadReport


def read_node_tables(description: DatasetDescription, report: ReadReport) -> dict[str, NodeTable]:
    """The node tables of `item` and `user`; empty where the description has no such tables.

    Args:
      description: the data set.
      report: receives counters and the kinds of ids, see `read_node_table`.

    Raises:
      E2EGRecError: no file matches, or one cannot be read.
    """

    def list_files(table: EntityTable, key: str) -> Sequence[tuple[str, OpenFile]]:
        files = match_files(table.paths, description.data_root, key)
        return [(file.path, functools.partial(open_raw, file.path)) for file in files]

    return {
        "item": read_node_table(description.items, "items", description.domains, list_files, report),
        "user": read_node_table(description.users, "users", description.domains, list_files, report),
    }
