"""How much memory processes may still take."""

import resource
import sys
from collections.abc import Sequence
from pathlib import Path

_KIB = 1024


def free_memory() -> int | None:
    """Bytes that new processes can have without swapping; None where the system does not say."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def held_memory(processes: Sequence[int]) -> int:
    """Bytes that processes hold now, by their ids, beside the files they have mapped; one that has ended holds none."""
    return sum(_field(Path(f"/proc/{process}/status"), "RssAnon") or 0 for process in processes)


def peak_memory() -> int:
    """The most memory that this process has held, in bytes, less the pages of files that it has mapped now: the system takes
    those back when it needs them.
    """
    status = Path("/proc/self/status")  # getrusage counts what the parent held when it forked
    peak = _field(status, "VmHWM")
    if peak is not None:
        return peak - (_field(status, "RssFile") or 0)
    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _field(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith(f"{name}:")]
    return int(found[0].split()[1]) * _KIB if found else None
