"""`ExampleField`: one feature of many `tf.train.Example` records, its values already in wire format."""

import dataclasses
from collections.abc import Sequence

import numba
import numpy as np

from tf_e2egrec.subgraphs.wire_format import put_varint

BYTES, FLOATS, INTS = 0x0A, 0x12, 0x1A  # tag of the list within a Feature
_LONGEST_VARINT = 10


@dataclasses.dataclass(frozen=True)
class ExampleField:
    """A feature of n records.

    Attributes:
      key: in the Example, such as `nodes/item.#id`.
      kind: `BYTES`, `FLOATS` or `INTS`.
      payload: uint8, the encoded values of all records.
      bounds: int64 [n + 1]; record i has the bytes `bounds[i]:bounds[i + 1]`.
    """

    key: str
    kind: int
    payload: np.ndarray
    bounds: np.ndarray

    @staticmethod
    def of_ints(key: str, values: np.ndarray, indptr: np.ndarray) -> "ExampleField":
        """A feature of int64 values [m]; record i has `indptr[i]:indptr[i + 1]`."""
        values = np.ascontiguousarray(values, np.int64)
        payload = np.empty(_LONGEST_VARINT * len(values), np.uint8)
        ends = np.zeros(len(values) + 1, np.int64)
        _put_varints(values, payload, ends)
        return ExampleField(key, INTS, payload[: ends[-1]].copy(), ends[indptr])

    @staticmethod
    def of_floats(key: str, values: np.ndarray, indptr: np.ndarray) -> "ExampleField":
        """A feature of float32 values [m]."""
        payload = np.ascontiguousarray(values, "<f4").view(np.uint8)
        return ExampleField(key, FLOATS, payload, np.asarray(indptr, np.int64) * 4)

    @staticmethod
    def of_bytes(key: str, values: Sequence[bytes], indptr: np.ndarray) -> "ExampleField":
        """A feature of byte strings [m]."""
        encoded = [b"\x0a" + _varint(len(value)) + value for value in values]
        ends = np.r_[0, np.cumsum([len(one) for one in encoded])].astype(np.int64)
        return ExampleField(key, BYTES, np.frombuffer(b"".join(encoded), np.uint8), ends[indptr])


@numba.njit(cache=True, nogil=True)
def _put_varints(values: np.ndarray, out: np.ndarray, ends: np.ndarray) -> None:
    position = 0
    for i in range(len(values)):
        position = put_varint(out, position, values[i])
        ends[i + 1] = position


def _varint(value: int) -> bytes:
    out = np.empty(_LONGEST_VARINT, np.uint8)
    return out[: put_varint(out, 0, value)].tobytes()
