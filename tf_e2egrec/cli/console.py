"""What the command prints."""

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tf_e2egrec.dataset.counter_names import readable

console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Print an error to stderr."""
    _errors.print(f"error: {sentence}", markup=False, style="bold red")


def warn(sentence: str) -> None:
    """Print a warning to stderr."""
    _errors.print(f"warning: {sentence}", markup=False, style="yellow")


def announce(stage: str, reads: str, writes: str) -> None:
    """Say what a stage is about to do."""
    console.print(f"[bold]{stage}[/bold]  reads {reads}  writes {writes}", soft_wrap=True)


def say_up_to_date(stage: str, directory: object) -> None:
    """Say that a stage is left out."""
    console.print(f"[bold]{stage}[/bold]  {directory} is up to date (--force makes it again)", soft_wrap=True)


@contextlib.contextmanager
def working(on: str) -> Iterator[None]:
    """Show a spinner and the time that passes, for work that does not know how much of it is left."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(on, total=None)
        yield


def show_counters(counters: Mapping[str, int]) -> None:
    """Print counters as a table, those that are zero left out."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, value in sorted((readable(name), value) for name, value in counters.items()):
        if value:
            table.add_row(name, f"{value:,}")
    console.print(table)
