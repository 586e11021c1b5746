"""Protocol buffer varints and TFRecord framing, compiled by numba.

TFRecord framing: length (uint64), masked crc32c of the length, payload, masked crc32c of the payload; all little endian.
"""

import numba
import numpy as np

FRAME_HEADER = 12
FRAME_BYTES = 16  # header and the trailing checksum
_POLYNOMIAL = 0x82F63B78  # crc32c (Castagnoli), reflected
_MASK_DELTA = np.uint32(0xA282EAD8)


def _crc_tables() -> np.ndarray:
    """Tables of the slicing-by-8 algorithm, uint32 [8, 256]."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        tables[0, byte] = value
    for level in range(1, 8):
        previous = tables[level - 1]
        tables[level] = (previous >> 8) ^ tables[0][previous & 0xFF]
    return tables


_TABLES = _crc_tables()


@numba.njit(cache=True, nogil=True)
def crc32c(data: np.ndarray, start: int, end: int) -> np.uint32:
    """CRC-32C of `data[start:end]` (uint8)."""
    crc = np.uint32(0xFFFFFFFF)
    position = start
    while position + 8 <= end:
        a = crc ^ (
            np.uint32(data[position])
            | (np.uint32(data[position + 1]) << np.uint32(8))
            | (np.uint32(data[position + 2]) << np.uint32(16))
            | (np.uint32(data[position + 3]) << np.uint32(24))
        )
        crc = np.uint32(
            _TABLES[7, a & np.uint32(0xFF)]
            ^ _TABLES[6, (a >> np.uint32(8)) & np.uint32(0xFF)]
            ^ _TABLES[5, (a >> np.uint32(16)) & np.uint32(0xFF)]
            ^ _TABLES[4, a >> np.uint32(24)]
            ^ _TABLES[3, data[position + 4]]
            ^ _TABLES[2, data[position + 5]]
            ^ _TABLES[1, data[position + 6]]
            ^ _TABLES[0, data[position + 7]]
        )
        position += 8
    while position < end:
        crc = np.uint32(
            _TABLES[0, (crc ^ np.uint32(data[position])) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
        )
        position += 1
    return np.uint32(crc ^ np.uint32(0xFFFFFFFF))


@numba.njit(cache=True, nogil=True)
def masked_crc32c(data: np.ndarray, start: int, end: int) -> np.uint32:
    """The checksum that TFRecord stores: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data, start, end)
    return np.uint32(((crc >> np.uint32(15)) | (crc << np.uint32(17))) + _MASK_DELTA)


@numba.njit(cache=True, inline="always")
def varint_length(value: int) -> int:
    """Bytes of an int64 as a varint; negative numbers take ten."""
    rest = np.uint64(value)
    length = 1
    while rest >= np.uint64(128):
        rest >>= np.uint64(7)
        length += 1
    return length


@numba.njit(cache=True, inline="always")
def put_varint(out: np.ndarray, position: int, value: int) -> int:
    """Write an int64 as a varint; returns the position behind it."""
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        out[position] = np.uint8((rest & np.uint64(127)) | np.uint64(128))
        rest >>= np.uint64(7)
        position += 1
    out[position] = np.uint8(rest)
    return position + 1


@numba.njit(cache=True, inline="always")
def put_uint32(out: np.ndarray, position: int, value: np.uint32) -> int:
    """Write four bytes, little endian; returns the position behind them."""
    out[position] = np.uint8(value & np.uint32(255))
    out[position + 1] = np.uint8((value >> np.uint32(8)) & np.uint32(255))
    out[position + 2] = np.uint8((value >> np.uint32(16)) & np.uint32(255))
    out[position + 3] = np.uint8(value >> np.uint32(24))
    return position + 4


@numba.njit(cache=True, nogil=True)
def put_frame(out: np.ndarray, start: int, length: int) -> int:
    """Put header and checksum around a payload that was written at `start + FRAME_HEADER`; returns the position behind it all."""
    put_uint32(out, start, np.uint32(length))
    put_uint32(out, start + 4, np.uint32(0))  # a record is far below 4 GB
    put_uint32(out, start + 8, masked_crc32c(out, start, start + 8))
    end = start + FRAME_HEADER + length
    return put_uint32(out, end, masked_crc32c(out, start + FRAME_HEADER, end))
