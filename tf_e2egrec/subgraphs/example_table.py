"""Rows of a table as framed `tf.train.Example` records, without TensorFlow."""

from collections.abc import Mapping

import numba
import numpy as np

from tf_e2egrec.subgraphs.wire_format import (
    FRAME_BYTES,
    FRAME_HEADER,
    put_frame,
    put_uint32,
    put_varint,
    varint_length,
)

_DECIMAL, _TEXT, _INT, _FLOAT = 0, 1, 2, 3
_DECIMAL_DIGITS = 19
_HEADERS = 64  # tags and lengths around one field's values, with a wide margin

Array = np.ndarray


def encode_example_table(columns: Mapping[str, Array], decimal: tuple[str, ...] = ()) -> bytes:
    """Encode n rows, one Example each, as the content of a TFRecord file.

    Lists are packed and map entries are in the order of their keys: equal tables have equal bytes.

    Args:
      columns: feature name -> int64 or float32, [n] or [n, width], or str [n] (UTF-8).
      decimal: int64 [n] columns, none of them negative, that are written as decimal text (bytes), the form of
        ids in TF-GNN's unigraph files.

    Raises:
      ValueError: a column has another type.
    """
    names = sorted(columns)
    rows = len(columns[names[0]])
    ints, floats = [np.zeros((rows, 0), np.int64)], [np.zeros((rows, 0), np.uint32)]
    texts: list[list[bytes]] = []
    program = np.zeros((len(names), 3), np.int64)  # kind, first column, width
    for place, name in enumerate(names):
        values = columns[name]
        matrix = np.ascontiguousarray(values).reshape(rows, -1) if rows else values.reshape(0, 1)
        if values.dtype == np.int64:
            kind = _DECIMAL if name in decimal else _INT
            program[place] = kind, sum(part.shape[1] for part in ints), matrix.shape[1]
            ints.append(matrix)
        elif values.dtype == np.float32:
            program[place] = _FLOAT, sum(part.shape[1] for part in floats), matrix.shape[1]
            floats.append(matrix.view(np.uint32))
        elif values.dtype.kind == "U":
            program[place] = _TEXT, len(texts), 1
            texts.append([text.encode() for text in values.tolist()])
        else:
            raise ValueError(f"column {name} has the unsupported type {values.dtype}")
    if rows == 0:
        return b""
    text_data, text_bounds = _joined(texts, rows)
    keys = [_encoded_key(name) for name in names]
    key_bytes = np.frombuffer(b"".join(keys), np.uint8)
    key_bounds = np.cumsum([0, *map(len, keys)])
    numbers = (np.concatenate(ints, axis=1), np.concatenate(floats, axis=1))
    out = np.empty(_upper_bound(rows, program, len(key_bytes), len(text_data)), np.uint8)
    length = _encode(program, *numbers, text_data, text_bounds, key_bytes, key_bounds, out)
    return out[:length].tobytes()


def _joined(texts: list[list[bytes]], rows: int) -> tuple[Array, Array]:
    """All texts behind one another, uint8, and where each begins and ends, int64 [columns, rows + 1]."""
    bounds, start = np.zeros((len(texts), rows + 1), np.int64), 0
    for column, values in enumerate(texts):
        bounds[column] = start + np.cumsum([0, *map(len, values)])
        start = bounds[column, -1]
    return np.frombuffer(b"".join(text for values in texts for text in values), np.uint8), bounds


def _encoded_key(name: str) -> bytes:
    text = name.encode()
    out = np.zeros(len(text) + 11, np.uint8)
    out[0] = 0x0A
    end = put_varint(out, 1, len(text))
    return out[:end].tobytes() + text


def _upper_bound(rows: int, program: Array, key_bytes: int, text_bytes: int) -> int:
    width = int(program[:, 2].sum())
    per_row = FRAME_BYTES + key_bytes + _HEADERS * (1 + len(program)) + (_DECIMAL_DIGITS + 2) * width
    return rows * per_row + text_bytes


@numba.njit(cache=True, nogil=True)
def _encode(
    program: Array,
    ints: Array,
    floats: Array,
    text: Array,
    text_bounds: Array,
    key_bytes: Array,
    key_bounds: Array,
    out: Array,
) -> int:
    """Write every row; returns the bytes written."""
    sizes = np.zeros(len(program), np.int64)
    position = 0
    for row in range(len(ints)):
        features = 0
        for f in range(len(program)):
            sizes[f] = _list_size(program[f], row, ints, text_bounds)
            entry = _entry_size(key_bounds[f + 1] - key_bounds[f], sizes[f])
            features += 1 + varint_length(entry) + entry
        at = position + FRAME_HEADER
        out[at] = 0x0A
        at = put_varint(out, at + 1, features)
        for f in range(len(program)):
            out[at] = 0x0A
            key_size = key_bounds[f + 1] - key_bounds[f]
            at = put_varint(out, at + 1, _entry_size(key_size, sizes[f]))
            for byte in range(key_bounds[f], key_bounds[f + 1]):
                out[at] = key_bytes[byte]
                at += 1
            at = _put_list(out, at, program[f], sizes[f], row, ints, floats, text, text_bounds)
        position = put_frame(out, position, at - position - FRAME_HEADER)
    return position


@numba.njit(cache=True, inline="always")
def _entry_size(key_size: int, list_size: int) -> int:
    """Bytes of a map entry: the encoded key, and a Feature that holds a list."""
    feature = 1 + varint_length(list_size) + list_size
    return key_size + 1 + varint_length(feature) + feature


@numba.njit(cache=True, inline="always")
def _digits(value: int) -> int:
    count = 1
    while value >= 10:
        value //= 10
        count += 1
    return count


@numba.njit(cache=True, inline="always")
def _payload(field: Array, row: int, ints: Array, text_bounds: Array) -> int:
    """Bytes of a field's values: those of the one text, or of the packed numbers."""
    kind, first, width = field[0], field[1], field[2]
    if kind == _DECIMAL:
        return _digits(ints[row, first])
    if kind == _TEXT:
        return text_bounds[first, row + 1] - text_bounds[first, row]
    if kind == _FLOAT:
        return 4 * width
    size = 0
    for column in range(first, first + width):
        size += varint_length(ints[row, column])
    return size


@numba.njit(cache=True, nogil=True)
def _list_size(field: Array, row: int, ints: Array, text_bounds: Array) -> int:
    """Bytes of a BytesList, FloatList or Int64List; all have their values under tag 0x0A."""
    payload = _payload(field, row, ints, text_bounds)
    return 1 + varint_length(payload) + payload


@numba.njit(cache=True, nogil=True)
def _put_list(
    out: Array, at: int, field: Array, size: int, row: int, ints: Array, floats: Array, text: Array, text_bounds: Array
) -> int:  # fmt: skip
    """Write the Feature of one field; returns the position behind it."""
    kind, first, width = field[0], field[1], field[2]
    out[at] = 0x12
    at = put_varint(out, at + 1, 1 + varint_length(size) + size)
    out[at] = 0x1A if kind == _INT else (0x12 if kind == _FLOAT else 0x0A)
    at = put_varint(out, at + 1, size)
    payload = _payload(field, row, ints, text_bounds)
    out[at] = 0x0A
    at = put_varint(out, at + 1, payload)
    if kind == _DECIMAL:
        value = ints[row, first]
        for place in range(at + payload - 1, at - 1, -1):
            out[place] = 48 + value % 10
            value //= 10
        return at + payload
    if kind == _TEXT:
        for byte in range(text_bounds[first, row], text_bounds[first, row + 1]):
            out[at] = text[byte]
            at += 1
        return at
    if kind == _FLOAT:
        for column in range(first, first + width):
            at = put_uint32(out, at, floats[row, column])
        return at
    for column in range(first, first + width):
        at = put_varint(out, at, ints[row, column])
    return at
