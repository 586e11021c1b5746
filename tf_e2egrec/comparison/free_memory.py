"""How much memory processes may still take."""

from collections.abc import Sequence
from pathlib import Path

_KIB = 1024


def free_memory() -> int | None:
    """Bytes that new processes can have without swapping; None where the system does not say."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def held_memory(processes: Sequence[int]) -> int:
    """Bytes that processes hold now, by their ids; one that has ended holds none."""
    return sum(_field(Path(f"/proc/{process}/status"), "VmRSS") or 0 for process in processes)


def _field(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith(f"{name}:")]
    return int(found[0].split()[1]) * _KIB if found else None
