"""Decoding of `tf.train.Example` records of subgraphs, compiled by numba: the inverse of `example_encoding`.

TensorFlow reads records one after the other; these functions read them wherever they stand. The first pass reads the scalars, counts the
lists' values and says where they are, the second one reads them, when it is known how much room they take. Features may come in any order,
lists packed or not. No byte is read beyond a record, whatever it holds.
"""

import numba
import numpy as np

from tf_e2egrec.subgraphs.record_frames import is_whole, little_endian
from tf_e2egrec.subgraphs.record_layout import (
    FLOAT_COLUMN,
    INT_COLUMN,
    ITEM_ID,
    RECENT_AGE,
    RECENT_SOURCE,
    SWING_PROPAGATION,
    SWING_SOURCE,
    SWING_TARGET,
    SWING_WEIGHT,
    USER_ID,
)
from tf_e2egrec.subgraphs.wire_format import FRAME_BYTES, FRAME_HEADER, varint_length

Array = np.ndarray

# Columns of the tables of lists.
ITEMS, RECENTS, AGES, SOURCES, TARGETS, WEIGHTS, PROPAGATIONS = range(7)
LISTS = 7
_LIST_OF_KIND = np.full(16, -1, np.int64)
for _kind, _list in (
    (ITEM_ID, ITEMS),
    (RECENT_SOURCE, RECENTS),
    (RECENT_AGE, AGES),
    (SWING_SOURCE, SOURCES),
    (SWING_TARGET, TARGETS),
    (SWING_WEIGHT, WEIGHTS),
    (SWING_PROPAGATION, PROPAGATIONS),
):
    _LIST_OF_KIND[_kind] = _list

_KEY_OR_PACKED, _VALUE, _FLOATS, _INTS = 0x0A, 0x12, 0x12, 0x1A  # tags
_ONE_INT, _ONE_FLOAT = 0x08, 0x0D  # tags of values that are not packed


@numba.njit(cache=True, nogil=True)
def scan_records(
    data: Array, starts: Array, ends: Array, rows: Array, program: tuple, has_swing: bool, ints: Array, floats: Array, lists: Array,
    counts: Array,
) -> int:  # fmt: skip
    """First pass: scalars, and where the lists are.

    Args:
      data: uint8, a TFRecord file.
      starts, ends: int64 [m] bounds of the records' frames.
      rows: int64 [m] where each record goes.
      program: `kind`, `operand`, `key_bytes` and `key_indptr` of a `RecordLayout`.
      has_swing: whether the edges of `swing` are wanted.
      ints: int64 [columns + 1, n], filled; the last one is the user's key.
      floats: uint32 [columns, n], filled with the bits of float32.
      lists: int64 [n, LISTS, 2], filled: bounds of the lists in `data`.
      counts: int64 [n, LISTS] of zeros, filled: their values.

    Returns:
      The place of the first record in `starts` that is damaged, or no subgraph; -1 without any.
    """
    kind, operand, key_bytes, key_indptr = program
    for i in range(len(starts)):
        if not is_whole(data, starts[i], ends[i]):
            return i
        first, last = starts[i] + FRAME_HEADER, ends[i] - (FRAME_BYTES - FRAME_HEADER)
        if not _scan_in_order(
            data, first, last, rows[i], kind, operand, key_bytes, key_indptr, has_swing, ints, floats, lists, counts
        ) and not _scan_any(data, first, last, rows[i], program, has_swing, ints, floats, lists, counts):  # fmt: skip
            return i
        if not _lists_agree(counts[rows[i]]):
            return i
    return -1


@numba.njit(cache=True, nogil=True)
def _scan_in_order(  # noqa: PLR0912
    data: Array, at: int, last: int, row: int, kind: Array, operand: Array, key_bytes: Array, key_indptr: Array, has_swing: bool,
    ints: Array, floats: Array, lists: Array, counts: Array,
) -> bool:  # fmt: skip
    """Read a record as `example_encoding` writes it: every field, in order, packed. Whether it is one.

    One function without calls: numba counts references at each, which takes longer than the reading.
    """
    at = _begin(data, at, last, _KEY_OR_PACKED)
    for f in range(len(kind)):
        end = _end(data, at, last, _KEY_OR_PACKED)
        at = _begin(data, at, end, _KEY_OR_PACKED)
        size = key_indptr[f + 1] - key_indptr[f]
        if at < 0 or size > end - at:
            return False
        for byte in range(size):
            if data[at + byte] != key_bytes[key_indptr[f] + byte]:
                return False
        at += size
        what = kind[f]
        column = _LIST_OF_KIND[what]
        is_scalar = what in (INT_COLUMN, FLOAT_COLUMN, USER_ID)
        if is_scalar or (column >= 0 and (column < SOURCES or has_swing)):
            is_float = what in (FLOAT_COLUMN, RECENT_AGE, SWING_WEIGHT, SWING_PROPAGATION)
            at = _begin(data, at, end, _VALUE)
            if at >= 0 and at < end:
                at = _begin(data, at, end, _FLOATS if is_float else _INTS)
            first, count = at, 0
            if at >= 0 and at < end:
                at = _begin(data, at, end, _KEY_OR_PACKED)
                if at >= 0 and is_float and (end - at) % 4 == 0:
                    count = (end - at) // 4
                elif at >= 0 and not is_float and data[end - 1] < 128:
                    for byte in range(at, end):
                        count += data[byte] < 128
                else:
                    return False
            if at < 0 or (is_scalar and count != 1):
                return False
            if what == FLOAT_COLUMN:
                floats[operand[f], row] = little_endian(data, at)
            elif is_scalar:
                value, _ = _varint(data, at, end)
                ints[ints.shape[0] - 1 if what == USER_ID else operand[f], row] = value
            else:
                lists[row, column, 0], lists[row, column, 1], counts[row, column] = first, end, count
        at = end
    return at == last


@numba.njit(cache=True, nogil=True, inline="always")
def _end(data: Array, at: int, last: int, tag: int) -> int:
    """Where the field ends that stands at a position and has this tag; -1 where it is another one, or longer than the rest."""
    found = -1
    if at >= 0 and at < last and data[at] == tag:
        length, start = _varint(data, at + 1, last)
        if start >= 0 and length >= 0 and length <= last - start:
            found = start + length
    return found


@numba.njit(cache=True, nogil=True, inline="always")
def _begin(data: Array, at: int, end: int, tag: int) -> int:
    """Where the content begins of the field that stands at a position, has this tag, and ends at `end`; -1 for any other."""
    found = -1
    if at >= 0 and at < end and data[at] == tag:
        length, start = _varint(data, at + 1, end)
        if start >= 0 and length == end - start:
            found = start
    return found


@numba.njit(cache=True, nogil=True)
def _scan_any(
    data: Array, at: int, last: int, row: int, program: tuple, has_swing: bool, ints: Array, floats: Array, lists: Array, counts: Array,
) -> bool:  # fmt: skip
    """Read a record with its features in any order. Whether it is one, and no scalar is missing."""
    kind = program[0]
    seen = np.zeros(len(kind), np.uint8)
    lists[row], counts[row], expected = 0, 0, 0
    while at < last:  # the fields of an Example
        tag, at, stop = _field(data, at, last)
        if at < 0:
            return False
        while tag == _KEY_OR_PACKED and at < stop:  # those of its Features
            inner, at, end = _field(data, at, stop)
            if at < 0:
                return False
            if inner == _KEY_OR_PACKED:
                expected = _scan_entry(
                    data, at, end, row, program, expected, has_swing, ints, floats, lists, counts, seen
                )
                if expected < 0:
                    return False
            at = end
        at = stop
    missing = 0
    for f in range(len(kind)):
        missing += kind[f] in (INT_COLUMN, FLOAT_COLUMN, USER_ID) and seen[f] == 0
    return missing == 0


@numba.njit(cache=True, nogil=True)
def _scan_entry(  # noqa: PLR0911, PLR0912
    data: Array, at: int, end: int, row: int, program: tuple, expected: int, has_swing: bool, ints: Array, floats: Array,
    lists: Array, counts: Array, seen: Array,
) -> int:  # fmt: skip
    """Read one entry of the map of features; returns the field that is likely to come next, -1 where bytes are wrong."""
    kind, operand, key_bytes, key_indptr = program
    key, key_end, value, value_end = at, at, at, at
    while at < end:
        tag, at, stop = _field(data, at, end)
        if at < 0:
            return -1
        if tag == _KEY_OR_PACKED:
            key, key_end = at, stop
        elif tag == _VALUE:
            value, value_end = at, stop
        at = stop
    field = _find(data, key, key_end, expected, key_bytes, key_indptr)
    if field < 0:
        return expected
    what = kind[field]
    column = _LIST_OF_KIND[what]
    is_scalar = what in (INT_COLUMN, FLOAT_COLUMN, USER_ID)
    if not is_scalar and (column < 0 or (column >= SOURCES and not has_swing)):
        return field + 1
    is_float = what in (FLOAT_COLUMN, RECENT_AGE, SWING_WEIGHT, SWING_PROPAGATION)
    first, last, count = 0, 0, 0
    while value < value_end:  # a Feature holds one list
        tag, value, stop = _field(data, value, value_end)
        if value < 0:
            return -1
        if tag == (_FLOATS if is_float else _INTS):
            first, last, count = value, stop, _count(data, value, stop, is_float)
        elif stop > value:
            return -1
        value = stop
    if count < 0 or (is_scalar and count != 1):
        return -1
    seen[field] = 1
    if what == FLOAT_COLUMN:
        _read_floats(data, first, last, floats[operand[field]], row)
    elif is_scalar:
        target = ints.shape[0] - 1 if what == USER_ID else operand[field]
        _read_ints(data, first, last, ints[target], row, row + 1)
    else:
        lists[row, column, 0], lists[row, column, 1] = first, last
        counts[row, column] = count
    return field + 1


@numba.njit(cache=True, nogil=True)
def _lists_agree(counts: Array) -> bool:
    """Whether lists that belong together are as long as one another."""
    edges = counts[SOURCES]
    return (
        counts[RECENTS] == counts[AGES]
        and counts[ITEMS] > counts[RECENTS]
        and counts[TARGETS] == edges
        and counts[WEIGHTS] == edges
        and counts[PROPAGATIONS] == edges
    )


@numba.njit(cache=True, nogil=True)
def fill_records(
    data: Array, rows: Array, lists: Array, counts: Array, first_place: Array, first_recent: Array, first_edge: Array, places: tuple,
    edges: tuple,
) -> int:  # fmt: skip
    """Second pass: the lists.

    Args:
      data, rows, lists, counts: as in `scan_records`.
      first_place, first_recent, first_edge: int64 [n] where each record's places, recent items and edges of `swing` go.
      places: `place_key` int64 [P], `recent_place` int32 [R], `recent_age` uint32 [R].
      edges: `source` int64 [E], `target` int32 [E], `weight` and `propagation_weight` uint32 [E].

    Returns:
      As `scan_records`.
    """
    place_key, recent_place, recent_age = places
    source, target, weight, propagation = edges
    longest = 1
    for row in rows:
        longest = max(longest, counts[row, ITEMS], counts[row, RECENTS], counts[row, SOURCES])
    ids, numbers = np.empty(longest, np.int64), np.empty(longest, np.int64)
    for i in range(len(rows)):
        row = rows[i]
        where, count = lists[row], counts[row]
        of_record = 1 + count[RECENTS]
        wanted = count[ITEMS] if count[SOURCES] > 0 else of_record
        _read_ints(data, where[ITEMS, 0], where[ITEMS, 1], ids, 0, wanted)
        place_key[first_place[row] : first_place[row] + of_record] = ids[:of_record]
        _read_ints(data, where[RECENTS, 0], where[RECENTS, 1], numbers, 0, count[RECENTS])
        for r in range(count[RECENTS]):
            if not 0 <= numbers[r] < of_record:
                return i
            recent_place[first_recent[row] + r] = first_place[row] + numbers[r]
        _read_floats(data, where[AGES, 0], where[AGES, 1], recent_age, first_recent[row])
        start = first_edge[row]
        _read_ints(data, where[SOURCES, 0], where[SOURCES, 1], numbers, 0, count[SOURCES])
        for e in range(count[SOURCES]):
            if not 0 <= numbers[e] < count[ITEMS]:
                return i
            source[start + e] = ids[numbers[e]]
        _read_ints(data, where[TARGETS, 0], where[TARGETS, 1], numbers, 0, count[SOURCES])
        for e in range(count[SOURCES]):
            if not 0 <= numbers[e] < of_record:
                return i
            target[start + e] = first_place[row] + numbers[e]
        _read_floats(data, where[WEIGHTS, 0], where[WEIGHTS, 1], weight, start)
        _read_floats(data, where[PROPAGATIONS, 0], where[PROPAGATIONS, 1], propagation, start)
    return -1


@numba.njit(cache=True, nogil=True, inline="always")
def _varint(data: Array, at: int, end: int) -> tuple[int, int]:
    """(value, position behind it); the position is -1 where there is none."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 127) << shift
        if byte < 128:
            return int(np.int64(value)), at
        shift += np.uint64(7)
    return 0, -1


@numba.njit(cache=True, nogil=True)
def _field(data: Array, at: int, end: int) -> tuple[int, int, int]:
    """(tag, start and end of the content) of the field at a position; the start is -1 where bytes are wrong."""
    tag, at = _varint(data, at, end)
    if at < 0:
        return 0, -1, -1
    wire = tag & 7
    if wire == 2:
        length, at = _varint(data, at, end)
        if at < 0 or length < 0 or length > end - at:
            return 0, -1, -1
        return tag, at, at + length
    stop = -1
    if wire == 0:
        _, stop = _varint(data, at, end)
    elif wire == 1:
        stop = at + 8
    elif wire == 5:
        stop = at + 4
    if stop < 0 or stop > end:
        return 0, -1, -1
    return tag, at, stop


@numba.njit(cache=True, nogil=True)
def _find(data: Array, key: int, key_end: int, expected: int, key_bytes: Array, key_indptr: Array) -> int:
    """The field of a key, -1 for none; looked for from `expected` on, because records have the keys in order."""
    fields, length = len(key_indptr) - 1, key_end - key
    prefix = 1 + varint_length(length)  # `key_bytes` have a tag and a length before each key
    for step in range(fields):
        field = expected + step
        if field >= fields:
            field -= fields
        start = key_indptr[field + 1] - length
        if start - key_indptr[field] != prefix:
            continue
        is_equal = True
        for byte in range(length - 1, -1, -1):  # keys differ at their ends
            if data[key + byte] != key_bytes[start + byte]:
                is_equal = False
                break
        if is_equal:
            return field
    return -1


@numba.njit(cache=True, nogil=True)
def _count(data: Array, at: int, end: int, is_float: bool) -> int:
    """Values of a FloatList or an Int64List, -1 where bytes are wrong."""
    count = 0
    while at < end:
        tag, at, stop = _field(data, at, end)
        if at < 0:
            return -1
        if tag == _KEY_OR_PACKED and is_float:
            if (stop - at) % 4:
                return -1
            count += (stop - at) // 4
        elif tag == _KEY_OR_PACKED:
            for byte in range(at, stop):
                count += data[byte] < 128
            if stop > at and data[stop - 1] >= 128:
                return -1
        elif tag == (_ONE_FLOAT if is_float else _ONE_INT):
            count += 1
        at = stop
    return count


@numba.njit(cache=True, nogil=True)
def _read_ints(data: Array, at: int, end: int, out: Array, start: int, limit: int) -> None:
    """Write the values of an Int64List to `out[start:limit]`."""
    while at < end and start < limit:
        tag, at, stop = _field(data, at, end)
        if at < 0:
            return
        if tag == _KEY_OR_PACKED:
            while at < stop and start < limit:
                if data[at] < 128:  # most numbers of nodes
                    value = np.int64(data[at])
                    at += 1
                else:
                    value, at = _varint(data, at, stop)
                    if at < 0:
                        return
                out[start] = value
                start += 1
        elif tag == _ONE_INT:
            out[start], at = _varint(data, at, stop)
            start += 1
        at = stop


@numba.njit(cache=True, nogil=True)
def _read_floats(data: Array, at: int, end: int, out: Array, start: int) -> None:
    """Write the bits of a FloatList's values to `out`, uint32, from `start` on."""
    while at < end:
        tag, at, stop = _field(data, at, end)
        if at < 0:
            return
        if tag in (_KEY_OR_PACKED, _ONE_FLOAT):
            while at < stop:
                out[start] = little_endian(data, at)
                at += 4
                start += 1
        at = stop
