"""From the feature tables of a description to one `NodeTable`."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.column_values import infer_text
from tf_e2egrec.dataset.description.entity_table import EntityTable
from tf_e2egrec.dataset.feature_values import feature_values
from tf_e2egrec.dataset.ids import MISSING_KEY, domain_keys, keys_from_column
from tf_e2egrec.dataset.log_reader import OpenFile, read_table_blocks
from tf_e2egrec.dataset.node_table import NodeTable, missing_values
from tf_e2egrec.dataset.read_report import USER_IDS, ReadReport, item_ids
from tf_e2egrec.errors import E2EGRecError

ListFiles = Callable[[EntityTable, str], Sequence[tuple[str, OpenFile]]]


def read_node_table(
    tables: Sequence[EntityTable],
    group: str,
    domains: Sequence[str],
    list_files: ListFiles,
    report: ReadReport,
) -> NodeTable:
    """Read all feature tables of the items, or of the users.

    A node that several tables describe has the features of all of them; features of a table that lacks the
    node are missing. Of several rows for one id in a table, the first in the order of (features, id) stays,
    whatever their order in the file.

    Args:
      tables: the tables; none gives an empty node table.
      group: `items` or `users`.
      domains: the description's domains, for item keys; ignored for users.
      list_files: (table, key of its paths) -> path and opener of each file.
      report: receives `<group>.<i>/rows_read`, `/bad_rows` (no id), `/duplicate_rows` and the counters of
        `feature_values`, and the kinds of ids.

    Raises:
      E2EGRecError: a file or a column is missing, or cannot be read.
    """
    parts = [
        _read_one(
            table,
            f"{group}.{i}",
            domains.index(table.domain) if group == "items" else None,
            list_files,
            report,
        )
        for i, table in enumerate(tables)
    ]
    key = np.unique(np.concatenate([np.zeros(0, np.int64), *(part.key for part in parts)]))
    ids = np.full(len(key), "", dtype=object)
    features: dict[str, np.ndarray] = {}
    for part in reversed(parts):
        rows = np.searchsorted(key, part.key)
        ids[rows] = part.id
        for name, values in part.features.items():
            features[name] = missing_values(values, len(key))
            features[name][rows] = values
    names = [feature.name for table in tables for feature in table.features]
    return NodeTable(key=key, id=ids.astype(str), features={name: features[name] for name in names})


def _read_one(
    source: EntityTable, prefix: str, domain: int | None, list_files: ListFiles, report: ReadReport
) -> NodeTable:
    table, origin = _whole_table(source, prefix, list_files)
    report.count(f"{prefix}/rows_read", table.num_rows)
    columns = {name: _one_chunk(table.column(name)) for name in table.column_names}
    if source.file_format == "csv":
        lists = {one.source_column for one in source.features if one.multivalued or one.type == "dense"}
        columns = {name: column if name in lists else infer_text(column) for name, column in columns.items()}

    try:
        key = keys_from_column(_or_integers(columns[source.id]), source.id)
        features = {
            one.name: feature_values(columns[one.source_column], one, report, prefix)
            for one in source.features
        }
    except E2EGRecError as error:
        raise E2EGRecError(f"`{origin}`: {error}") from None
    report.origin = origin
    what = USER_IDS if domain is None else item_ids(source.domain)
    report.add_kind(what, source.id, columns[source.id].type)

    is_row = key != MISSING_KEY
    report.count(f"{prefix}/bad_rows", (~is_row).sum())
    ids = np.array([str(value) for value in columns[source.id].to_pylist()], dtype=object)
    key = key if domain is None else domain_keys(key, domain)
    rows = np.flatnonzero(is_row)
    rows = rows[_order(key[rows], ids[rows], {name: values[rows] for name, values in features.items()})]
    is_first = np.r_[True, key[rows][1:] != key[rows][:-1]][: len(rows)]
    report.count(f"{prefix}/duplicate_rows", (~is_first).sum())
    rows = rows[is_first]
    return NodeTable(
        key=key[rows], id=ids[rows], features={name: values[rows] for name, values in features.items()}
    )


def _whole_table(source: EntityTable, prefix: str, list_files: ListFiles) -> tuple[pa.Table, str]:
    """All rows of a table's files; CSV cells as text, so that a column's type is decided over all of them."""
    needed = {feature.source_column: f"{prefix}.features.{i}" for i, feature in enumerate(source.features)}
    needed[source.id] = f"{prefix}.id"
    files = list_files(source, f"{prefix}.paths")
    blocks = [
        block
        for path, open_file in files
        for block in read_table_blocks(open_file, source, needed, path, infer=False)
    ]
    origin = files[0][0]
    if not blocks:
        raise E2EGRecError(f"`{origin}` has no rows (named by `{prefix}.paths`)")
    try:
        return pa.concat_tables(blocks, promote_options="permissive"), origin
    except pa.ArrowException as error:
        raise E2EGRecError(f"the files of `{prefix}.paths` differ in the type of a column: {error}") from None


def _order(key: np.ndarray, ids: np.ndarray, features: dict[str, np.ndarray]) -> np.ndarray:
    """Rows by key; rows of one key by their features, then their id."""
    order = np.argsort(key, kind="stable")
    if not (key[order][1:] == key[order][:-1]).any():
        return order
    columns = [column for values in features.values() for column in values.reshape(len(key), -1).T]
    return np.lexsort([ids.astype(str), *reversed(columns), key])


def _or_integers(column: pa.Array) -> pa.Array:
    return column.cast(pa.int64()) if pa.types.is_null(column.type) else column


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
