"""What a pipeline has done so far, shown while it runs in this process.

Beam tells its counters when a pipeline ends. A local run happens in this process, so transforms can say here what they have done;
on a remote worker, or in another process, nobody watches and `advance` does nothing. It never changes a result, and a bundle that is
repeated counts twice.
"""

import contextlib
import threading
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

_lock = threading.Lock()
_done: dict[str, int] | None = None  # None: nobody watches


def advance(what: str, amount: int = 1) -> None:
    """Say that so many more of something (`rows read`, `records`) are done; any thread may."""
    if _done is not None:
        with _lock:
            _done[what] = _done.get(what, 0) + amount


@contextlib.contextmanager
def live_progress(stage: str, console: Console | None = None) -> Iterator[dict[str, int]]:
    """Show, on a terminal, what the pipelines run inside the block have done.

    Args:
      stage: the name in front of the line.
      console: where to; standard error if absent.

    Yields:
      what was done so far, by name; it keeps growing.
    """
    global _done  # noqa: PLW0603  transforms are copied when a pipeline is built: only a module is shared
    console = console or Console(stderr=True)
    outer = _done
    done: dict[str, int] = {}
    _done = done
    columns = SpinnerColumn(), TextColumn("{task.description}"), _Done(done), TimeElapsedColumn()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            progress.add_task(stage, total=None)
            yield done
    finally:
        _done = outer


class _Done(ProgressColumn):
    """`1,200,000 rows read · 3 shards · 40 snapshots`."""

    def __init__(self, done: dict[str, int]) -> None:
        super().__init__()
        self._counts = done

    def render(self, task: Task) -> Text:
        """The line as it is now."""
        with _lock:
            counts = list(self._counts.items())
        return Text(" · ".join(f"{value:,} {what}" for what, value in counts), style="cyan")
