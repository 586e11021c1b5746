"""`MemoryCap`: how many runs the free memory allows side by side."""

import json
from collections.abc import Sequence

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.free_memory import free_memory, held_memory

_MIB, _GIB = 1 << 20, 1 << 30


class MemoryCap:
    """Keeps runs waiting where as many as wanted would need more memory than there is.

    A run is taken to need what the largest finished one of the comparison held at its peak. Until one is finished, and where the
    system does not say what is free, `jobs` alone counts.

    Args:
      directory: of the comparison; finished runs leave their costs there.
      jobs: the most runs side by side.
    """

    def __init__(self, directory: CompareDirectory, jobs: int) -> None:
        self._directory, self._jobs = directory, jobs
        self._limit, self._news, self._said = jobs, "", set[int]()
        self._peak = 0
        self.look()

    def look(self) -> None:
        """Learn what finished runs held."""
        for path in self._directory.costs_of_all():
            self._peak = max(self._peak, int((_peak_mib(path.read_text(encoding="utf-8")) or 0) * _MIB))

    def allows(self, running: Sequence[int]) -> bool:
        """Whether another run may start beside these processes; the first may always."""
        self._limit, wanted = self._jobs, len(running) + 1
        if wanted > self._jobs:
            return False
        free = free_memory()
        if not running or not self._peak or free is None:
            return True
        free += held_memory(running)
        if wanted * self._peak <= free:
            return True
        self._limit = len(running)
        if self._limit not in self._said:
            self._said.add(self._limit)
            self._news = (
                f"{self._limit} at a time instead of {self._jobs}: a run has held {self._peak / _GIB:.1f} GiB, and "
                f"{free / _GIB:.1f} GiB are free"
            )
        return False

    @property
    def limit(self) -> int:
        """How many runs there may be at a time, by the latest answer."""
        return self._limit

    def news(self) -> str:
        """A sentence that was not said before: that memory keeps runs waiting."""
        sentence, self._news = self._news, ""
        return sentence


def _peak_mib(text: str) -> float | None:
    found: float | None = json.loads(text).get("peak_memory_mib")
    return found
