"""Ways to damage a file."""

from pathlib import Path


def cut(path: Path, share: float = 0.5) -> None:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def empty(path: Path) -> None:
    """Leave nothing of a file."""
    path.write_bytes(b"")


def flip(path: Path, place: float = 0.5) -> None:
    """Change one bit, at a share of the file's length."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def first(folder: Path, pattern: str) -> Path:
    """The first file of a pattern, in order of names."""
    return sorted(folder.glob(pattern))[0]
