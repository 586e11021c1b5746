"""What the command prints."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

console = Console(highlight=False)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Print an error to stderr."""
    _errors.print(f"error: {sentence}", markup=False, style="bold red")


def announce(stage: str, reads: str, writes: str) -> None:
    """Say what a stage is about to do."""
    console.print(f"[bold]{stage}[/bold]  reads {reads}  writes {writes}", soft_wrap=True)


def show_counters(title: str, counters: Mapping[str, int]) -> None:
    """Print counters as a table, those that are zero left out."""
    table = Table(title=title, show_header=False, title_justify="left", box=None)
    for name, value in sorted(counters.items()):
        if value:
            table.add_row(name.replace("_", " "), f"{value:,}")
    console.print(table)
