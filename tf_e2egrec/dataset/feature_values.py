"""A feature column as an array, in the form node tables hold it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf_e2egrec.dataset.column_values import is_number, is_text, numbers_from_column
from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY, keys_from_column
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError


def feature_values(column: pa.Array, feature: FeatureSpec, report: ReadReport, prefix: str) -> np.ndarray:
    """Values of a feature.

    Args:
      column: what the file holds [n].
      feature: how to read it.
      report: receives `<prefix>/unreadable_values/<feature>` (numbers that are none, hence missing) and
        `<prefix>/dropped_values/<feature>` (values of a multi-valued feature beyond `max_values`).
      prefix: of the counters.

    Returns:
      categorical: int64 [n], or [n, max_values] padded with -1, without repeating a value; numeric: float32
        [n], NaN where missing;
      dense: float32 [n, dimension], zeros where missing.

    Raises:
      E2EGRecError: the column's type does not fit, or a dense vector has another length than `dimension`.
    """
    name = feature.source_column
    if pa.types.is_null(column.type):
        column = column.cast(pa.string() if feature.multivalued or feature.type == "dense" else pa.int64())
    if feature.type == "dense":
        return _vectors(column, feature)
    if feature.multivalued:
        keys, dropped = _several_keys(column, feature)
        report.count(f"{prefix}/dropped_values/{feature.name}", dropped)
        return keys
    if feature.type == "categorical":
        return keys_from_column(column, name)
    values, unreadable = numbers_from_column(column, name)
    report.count(f"{prefix}/unreadable_values/{feature.name}", unreadable.sum())
    return values.astype(np.float32)


def _several_keys(column: pa.Array, feature: FeatureSpec) -> tuple[np.ndarray, int]:
    """int64 [n, max_values] and the number of values dropped; the order of the values is kept."""
    lists = _lists(column, feature)
    row = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    keys = keys_from_column(pc.list_flatten(lists), feature.source_column)
    first = np.zeros(len(keys), bool)
    order = np.lexsort((keys, row))
    first[order] = np.r_[True, (keys[order][1:] != keys[order][:-1]) | (row[order][1:] != row[order][:-1])][
        : len(keys)
    ]
    kept = first & (keys != MISSING_KEY)
    row, keys = row[kept], keys[kept]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    fits = place < feature.max_values
    out = np.full((len(column), feature.max_values), MISSING_KEY, np.int64)
    out[row[fits], place[fits]] = keys[fits]
    return out, int((~fits).sum())


def _vectors(column: pa.Array, feature: FeatureSpec) -> np.ndarray:
    lists, name = _lists(column, feature), feature.source_column
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    present = lengths > 0
    wrong = present & (lengths != feature.dimension)
    if wrong.any():
        raise E2EGRecError(
            f"column `{name}` has a vector of {lengths[wrong][0]} numbers, but feature `{feature.name}` has "
            f"`dimension: {feature.dimension}`"
        )
    values, unreadable = numbers_from_column(pc.list_flatten(lists), name)
    if unreadable.any():
        raise E2EGRecError(f"column `{name}` holds vectors with text that is not a number; check `separator`")
    out = np.zeros((len(column), feature.dimension or 1), np.float32)
    out[present] = np.nan_to_num(values.astype(np.float32)).reshape(-1, feature.dimension or 1)
    return out


def _lists(column: pa.Array, feature: FeatureSpec) -> pa.Array:
    """The column as lists: text is split at the separator, a single number or text is a list of one."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return column.cast(pa.list_(kind.value_type))
    if pa.types.is_list(kind):
        return column
    if not (is_text(kind) or is_number(kind)):
        raise E2EGRecError(
            f"column `{feature.source_column}` has type {kind}, where lists or text are needed"
        )
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    parts = pc.split_pattern(pc.if_else(pc.equal(text, ""), None, text), feature.separator)
    trimmed = pc.utf8_trim_whitespace(pc.list_flatten(parts))
    lengths = np.asarray(pc.fill_null(pc.list_value_length(parts), 0))
    return pa.ListArray.from_arrays(pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32)), trimmed)
