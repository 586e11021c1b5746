"""Values of a column as numbers or as a yes/no, whatever type the file gave it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf_e2egrec.dataset.description.behaviour_spec import BehaviourSpec
from tf_e2egrec.errors import E2EGRecError

Scalar = str | int | float | bool


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds strings."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds numbers or truth values."""
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )


def infer_text(column: pa.Array) -> pa.Array:
    """Text cells of a CSV column as int64, float64 or boolean where every cell allows it, else as they are.

    Empty cells are missing. Hexadecimal text stays text.

    Args:
      column: string [n].

    Returns:
      an array [n]; of type null if every cell is empty.
    """
    blank = pc.equal(column, "")
    if pc.all(pc.fill_null(blank, True)).as_py() in (True, None):
        return pa.nulls(len(column))
    cells = pc.utf8_trim_whitespace(pc.if_else(blank, None, column))
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            typed = pc.cast(cells, kind)
        except pa.ArrowInvalid:
            continue
        is_hexadecimal = kind == pa.int64() and pc.any(pc.match_substring_regex(cells, "[xX]")).as_py()
        return column if is_hexadecimal else typed
    return column


def numbers_from_column(column: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as numbers.

    Args:
      column: numbers, truth values or text [n].
      name: the column's name, for the message.

    Returns:
      float64 [n], NaN where missing or unreadable; bool [n], True where there is text that is not a number.

    Raises:
      E2EGRecError: the column's type cannot be a number.
    """
    unreadable = np.zeros(len(column), bool)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan), unreadable
    if is_text(column.type):
        values, unreadable = _parsed(column)
    elif is_number(column.type):
        values = np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(np.nan))
    else:
        raise E2EGRecError(f"column `{name}` has type {column.type}, where a number is needed")
    return np.where(np.isinf(values), np.nan, values), unreadable


def _parsed(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    cells = pc.utf8_trim_whitespace(column.cast(pa.string()))
    cells = pc.if_else(pc.equal(cells, ""), None, cells)
    try:
        return np.asarray(pc.cast(cells, pa.float64()).fill_null(np.nan)), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        values = np.array([_number(cell) for cell in cells.to_pylist()], np.float64)
        return values, np.isnan(values) & np.asarray(pc.is_valid(cells))


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell is not None else np.nan
    except ValueError:
        return np.nan


def is_one_of(column: pa.Array, values: Sequence[Scalar], name: str) -> np.ndarray:
    """Where a column's value is one of those listed; bool [n], False where it is missing.

    Numbers are compared as numbers, text as text (`1` in the list matches the text "1").

    Raises:
      E2EGRecError: a listed text cannot be compared with a column of numbers.
    """
    if pa.types.is_null(column.type):
        return np.zeros(len(column), bool)
    if is_text(column.type):
        listed = {spelling for value in values for spelling in _spellings(value)}
        return np.asarray(pc.is_in(column, pa.array(sorted(listed), column.type)))
    if not is_number(column.type):
        raise E2EGRecError(
            f"column `{name}` has type {column.type}, which `in` cannot compare; use numbers or text"
        )
    try:
        numbers = [value if isinstance(value, int) else float(value) for value in values]
    except ValueError:
        text = next(value for value in values if isinstance(value, str))
        raise E2EGRecError(
            f"column `{name}` holds numbers, but `in` lists the text `{text}`; list numbers"
        ) from None
    if pa.types.is_integer(column.type) and all(float(number).is_integer() for number in numbers):
        return np.asarray(
            pc.is_in(pc.cast(column, pa.int64()), pa.array([int(n) for n in numbers], pa.int64()))
        )
    cells, _ = numbers_from_column(column, name)
    return np.isin(cells, np.asarray(numbers, np.float64))


def _spellings(value: Scalar) -> tuple[str, ...]:
    return (str(value), str(value).lower()) if isinstance(value, bool) else (str(value),)


def where_happened(column: pa.Array, spec: BehaviourSpec, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a behaviour happened.

    Returns:
      bool [n], False where the value is missing; bool [n], True where the value cannot be read.
    """
    if spec.in_ is not None:
        return is_one_of(column, spec.in_, name), np.zeros(len(column), bool)
    values, unreadable = numbers_from_column(column, name)
    if spec.at_least is not None:
        return values >= spec.at_least, unreadable
    return ~np.isnan(values) & (values != 0), unreadable
