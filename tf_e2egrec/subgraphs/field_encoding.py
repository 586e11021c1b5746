"""Encoding of any list of features as framed `tf.train.Example` records, without TensorFlow.

`example_encoding` knows one record layout and is faster on it; this one takes whatever node and edge sets a graph has. Map entries stand in
the order of their keys and lists are packed: equal features give equal bytes.
"""

from collections.abc import Iterator, Sequence

import numba
import numpy as np

from tf_e2egrec.subgraphs.example_field import BYTES, ExampleField
from tf_e2egrec.subgraphs.wire_format import FRAME_BYTES, FRAME_HEADER, put_frame, put_varint, varint_length

_CHUNK = 4096  # records whose output buffer is allocated at once
_ENTRY_OVERHEAD = 32  # tags and lengths around one field's values, with a wide margin


def encode_fields(fields: Sequence[ExampleField]) -> Iterator[np.ndarray]:
    """Encode records.

    Args:
      fields: the features of n records, with different keys.

    Yields:
      uint8 arrays that, one after the other, are a TFRecord file of the n records.
    """
    fields = sorted(fields, key=lambda field: field.key.encode())
    n = len(fields[0].bounds) - 1
    keys = [b"\x0a" + _length_byte(field.key) + field.key.encode() for field in fields]
    key_bytes = np.frombuffer(b"".join(keys), np.uint8)
    key_indptr = np.r_[0, np.cumsum([len(key) for key in keys])].astype(np.int64)
    kinds = np.array([field.kind for field in fields], np.uint8)
    fixed = len(key_bytes) + _ENTRY_OVERHEAD * len(fields) + FRAME_BYTES
    for start in range(0, n, _CHUNK):
        end = min(start + _CHUNK, n)
        pieces = [field.payload[field.bounds[start] : field.bounds[end]] for field in fields]
        offsets = np.r_[0, np.cumsum([len(piece) for piece in pieces])]
        bounds = np.stack(
            [
                field.bounds[start : end + 1] - field.bounds[start] + offset
                for field, offset in zip(fields, offsets, strict=False)
            ]
        )
        payload = np.concatenate(pieces)
        out = np.empty(fixed * (end - start) + len(payload), np.uint8)
        yield out[: _encode(kinds, key_bytes, key_indptr, payload, bounds, out)]


def _length_byte(key: str) -> bytes:
    length = len(key.encode())
    return bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])


@numba.njit(cache=True, nogil=True)
def _encode(
    kinds: np.ndarray,
    key_bytes: np.ndarray,
    key_indptr: np.ndarray,
    payload: np.ndarray,
    bounds: np.ndarray,
    out: np.ndarray,
) -> int:
    """Write all records; returns the bytes written."""
    position = 0
    for i in range(bounds.shape[1] - 1):
        features = 0
        for f in range(len(kinds)):
            entry = _entry_length(
                key_indptr[f + 1] - key_indptr[f], kinds[f], bounds[f, i + 1] - bounds[f, i]
            )
            features += 1 + varint_length(entry) + entry
        at = _put_tag(out, position + FRAME_HEADER, 0x0A, features)
        for f in range(len(kinds)):
            length = bounds[f, i + 1] - bounds[f, i]
            at = _put_tag(out, at, 0x0A, _entry_length(key_indptr[f + 1] - key_indptr[f], kinds[f], length))
            for byte in range(key_indptr[f], key_indptr[f + 1]):
                out[at] = key_bytes[byte]
                at += 1
            in_list = _list_length(kinds[f], length)
            at = _put_tag(out, at, 0x12, 1 + varint_length(in_list) + in_list)
            at = _put_tag(out, at, kinds[f], in_list)
            if kinds[f] != BYTES and length > 0:
                at = _put_tag(out, at, 0x0A, length)
            for byte in range(bounds[f, i], bounds[f, i + 1]):
                out[at] = payload[byte]
                at += 1
        position = put_frame(out, position, at - position - FRAME_HEADER)
    return position


@numba.njit(cache=True, inline="always")
def _list_length(kind: int, payload: int) -> int:
    """Bytes of a list; numbers are packed into one field, and an empty list has no field at all."""
    return payload if kind == BYTES or payload == 0 else 1 + varint_length(payload) + payload


@numba.njit(cache=True, inline="always")
def _entry_length(key_length: int, kind: int, payload: int) -> int:
    """Bytes of a map entry: the encoded key, and a Feature that holds a list."""
    in_list = _list_length(kind, payload)
    feature = 1 + varint_length(in_list) + in_list
    return key_length + 1 + varint_length(feature) + feature


@numba.njit(cache=True, inline="always")
def _put_tag(out: np.ndarray, at: int, tag: int, length: int) -> int:
    out[at] = tag
    return put_varint(out, at + 1, length)
