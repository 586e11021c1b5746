"""`RecordFrames`: where each record of a TFRecord file stands, so that any of them can be read without those before it."""

import mmap
import tempfile
from pathlib import Path

import numba
import numpy as np

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.wire_format import FRAME_BYTES, FRAME_HEADER, masked_crc32c

_CHUNK = 1 << 16  # records that are found at once
_WORTH_KEEPING = 64 << 20  # bytes of a file whose frames are not looked for twice


class RecordFrames:
    """A TFRecord file in memory, as far as it is used, and the bounds of its records.

    Finding the frames reads a header of 12 bytes per record. Of large files the bounds are kept beside them, in
    `.<name>.frames.npy` (8 bytes per record), which appears whole or not at all, and is made again when the file is newer or has
    another size. Where nothing can be written there, they are found anew by each process.

    Args:
      path: the file.
      worth_keeping: bytes from which on the bounds are kept on disk.

    Attributes:
      path: the file.
      data: uint8, its bytes; read-only, mapped into memory.
      bounds: int64 [n + 1]; record i's frame is `data[bounds[i]:bounds[i + 1]]`.

    Raises:
      E2EGRecError: the file is damaged.
    """

    def __init__(self, path: str | Path, worth_keeping: int = _WORTH_KEEPING) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            size = self.path.stat().st_size
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else None
        self.data = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
        kept = self.path.with_name(f".{self.path.name}.frames.npy")
        bounds = self._kept(kept)
        if bounds is None:
            bounds = self._found()
            if size >= worth_keeping:
                _keep(kept, bounds)
        self.bounds = bounds

    def __len__(self) -> int:
        """Number of records."""
        return len(self.bounds) - 1

    def _kept(self, path: Path) -> np.ndarray | None:
        """What is kept on disk, if it is of this file."""
        try:
            if path.stat().st_mtime_ns < self.path.stat().st_mtime_ns:
                return None
            bounds = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, ValueError, EOFError):
            return None
        fits = bounds.dtype == np.int64 and bounds.ndim == 1 and len(bounds) > 0
        fits = fits and bounds[0] == 0 and bounds[-1] == len(self.data)
        # What is read by them is not checked against the end of the file.
        return bounds if fits and bool(np.all(np.diff(bounds) >= FRAME_BYTES)) else None

    def _found(self) -> np.ndarray:
        parts, position, count = [np.zeros(1, np.int64)], 0, 0
        while position < len(self.data):
            ends = np.empty(_CHUNK, np.int64)
            found, is_whole = _frame_ends(self.data, position, ends)
            count += found
            if not is_whole:
                raise E2EGRecError(
                    f"{self.path} is damaged (record {count} cannot be read); run `e2egrec subgraphs --force`"
                )
            parts.append(ends[:found])
            position = int(ends[found - 1])
        return np.concatenate(parts)


def _keep(path: Path, bounds: np.ndarray) -> None:
    """Write the file aside and rename it; a folder that cannot be written to is none of the reader's business."""
    try:
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
            staging = Path(folder) / path.name
            np.save(staging, bounds)
            staging.replace(path)
    except OSError:
        return


@numba.njit(cache=True, nogil=True)
def _frame_ends(data: np.ndarray, position: int, ends: np.ndarray) -> tuple[int, bool]:
    """Ends of the frames from `position` on, as many as fit into `ends`: (how many, whether none is broken)."""
    count = 0
    while position < len(data) and count < len(ends):
        if len(data) - position < FRAME_BYTES:
            return count, False
        if masked_crc32c(data, position, position + 8) != little_endian(data, position + 8):
            return count, False
        # A record is below 4 GB.
        length = int(little_endian(data, position))
        if little_endian(data, position + 4) != 0 or length > len(data) - position - FRAME_BYTES:
            return count, False
        position += FRAME_BYTES + int(length)
        ends[count] = position
        count += 1
    return count, True


@numba.njit(cache=True, inline="always")
def little_endian(data: np.ndarray, position: int) -> np.uint32:
    """The uint32 that stands at a position."""
    return np.uint32(
        np.uint32(data[position])
        | (np.uint32(data[position + 1]) << np.uint32(8))
        | (np.uint32(data[position + 2]) << np.uint32(16))
        | (np.uint32(data[position + 3]) << np.uint32(24))
    )


@numba.njit(cache=True, nogil=True)
def is_whole(data: np.ndarray, start: int, end: int) -> bool:
    """Whether the checksum of the record in the frame `data[start:end]` holds."""
    last = end - (FRAME_BYTES - FRAME_HEADER)
    return masked_crc32c(data, start + FRAME_HEADER, last) == little_endian(data, last)
