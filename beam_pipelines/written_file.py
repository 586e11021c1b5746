"""Small files that a pipeline leaves for the stage."""

import uuid
from pathlib import Path


def write_whole(path: str, content: bytes) -> None:
    """Write a file that appears whole, however often the step is retried."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_bytes(content)
    temporary.replace(target)
