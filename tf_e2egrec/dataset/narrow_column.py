"""Integer columns in as few bytes a row as their range allows: shuffles cost by the byte."""

import numpy as np

_ALIGNMENT = 8
_HEADER = 2 * _ALIGNMENT
_WIDTHS = (1, 2, 4)


def pack_narrow(values: np.ndarray) -> bytes:
    """Pack int64 [n] as its least value and the distances to it, 1, 2, 4 or 8 bytes each.

    The length of the result is a multiple of 8.
    """
    values = np.ascontiguousarray(values, "<i8")
    least, width = 0, 8
    if len(values):
        least = int(values.min())
        span = int(values.max()) - least
        width = next((width for width in _WIDTHS if span < 1 << (8 * width)), 8)
        if width < 8:
            values = (values - least).astype(f"<u{width}")
    header = np.array([least if width < 8 else 0, width], "<i8").tobytes()
    return b"".join([header, values.tobytes(), b"\0" * (-values.nbytes % _ALIGNMENT)])


def unpack_narrow(packed: bytes, count: int, start: int = 0) -> tuple[np.ndarray, int]:
    """The inverse of `pack_narrow`.

    Args:
      packed: bytes that hold a column.
      count: n, the number of values.
      start: where the column begins.

    Returns:
      int64 [n], writable, and where the column ends.
    """
    least, width = np.frombuffer(packed, "<i8", 2, start).tolist()
    stored = np.frombuffer(packed, f"<u{width}" if width < 8 else "<i8", count, start + _HEADER)
    values = stored.astype(np.int64)
    if least:
        values += least
    return values, start + _HEADER + stored.nbytes + -stored.nbytes % _ALIGNMENT
