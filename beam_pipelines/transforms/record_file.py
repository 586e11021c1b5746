"""Files of records that appear whole."""

import uuid
from collections.abc import Iterable
from pathlib import Path


def write_record_file(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a file under another name and rename it: a retried or doubled attempt leaves the same file.

    Returns:
      The bytes written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    written = 0
    try:
        with temporary.open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return written
