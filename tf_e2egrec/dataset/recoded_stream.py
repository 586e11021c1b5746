"""`RecodedStream`: text of any encoding and separator in the form the CSV parser understands."""

import codecs
import io
from typing import Any, BinaryIO

FIELD_SEPARATOR = "\x1f"  # ASCII's unit separator: one byte, and hardly ever part of a text

_CHUNK = 1 << 20


class RecodedStream(io.RawIOBase):
    """Reads a byte stream as UTF-8, with separators of several characters replaced by `FIELD_SEPARATOR`.

    Args:
      stream: the bytes; closed together with this stream.
      encoding: how they are encoded.
      separator: a separator of one character is left alone.

    Raises:
      UnicodeError: at `read`, where the bytes are not text of that encoding.
    """

    def __init__(self, stream: BinaryIO, encoding: str, separator: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._separator = separator
        self._line_start = ""  # a line that is not complete yet may end within a separator
        self._ready = b""
        self._is_at_end = False

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; returns the number of bytes, 0 at the end."""
        while not self._ready and not self._is_at_end:
            self._ready = self._next_lines().encode()
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """Close the underlying stream, too."""
        self._stream.close()
        super().close()

    def _next_lines(self) -> str:
        chunk = self._stream.read(_CHUNK)
        self._is_at_end = not chunk
        text = self._line_start + self._decoder.decode(chunk, final=self._is_at_end)
        lines, newline, self._line_start = (text, "", "") if self._is_at_end else text.rpartition("\n")
        if len(self._separator) == 1:
            return lines + newline
        return lines.replace(FIELD_SEPARATOR, " ").replace(self._separator, FIELD_SEPARATOR) + newline
