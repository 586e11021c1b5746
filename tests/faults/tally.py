"""`Tally`: what a test injected and what came of it, for the summary of `make faults`."""

from collections import Counter
from collections.abc import Callable

INJECTED, SURVIVED, COMPARED = "faults injected", "survived", "artefacts compared"
BAD_INPUTS, SERVED = "bad inputs tried", "requests served"
NAMES = (INJECTED, SURVIVED, COMPARED, BAD_INPUTS, SERVED)


class Tally:
    """Counts by name; the test's report carries them, from whatever process."""

    def __init__(self, record_property: Callable[[str, object], None]) -> None:
        self._record, self._counts = record_property, Counter[str]()
        self.reasons: list[str] = []

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self._counts[name] += number

    def fail(self, reason: str) -> None:
        """Note a failure; the test goes on with the next fault."""
        self.reasons.append(reason)

    def close(self) -> None:
        """Hand the counts to the report."""
        for name, number in self._counts.items():
            self._record(name, number)
