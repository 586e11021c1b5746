"""The command that says what is installed and what is missing."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tf_e2egrec.cli.console import console, working
from tf_e2egrec.cli.options import AsJson

if TYPE_CHECKING:
    from rich.table import Table

    from tf_e2egrec.cli.installation import Check

MISSING = 1  # the exit code where something is missing without which nothing runs


def doctor(
    as_json: AsJson = False,
) -> None:
    """Look at this machine: versions, GPU, Beam runners, TensorFlow Serving, disk, memory; and how to get what is missing.

    Exit code 1 where something is missing that every command needs; what only some need is said and does no harm.

    Example: e2egrec doctor

    Example: e2egrec doctor --json
    """
    from tf_e2egrec.cli.installation import look_around

    with working("doctor"):
        checks = look_around(Path())
    lacking = [check for check in checks if check.is_needed and not check.is_sound]
    if as_json:
        found = {"is_ready": not lacking, "checks": [dataclasses.asdict(check) for check in checks]}
        console.print_json(json.dumps(found))
    else:
        console.print(checks_table(checks))
        names = ", ".join(check.name for check in lacking)
        console.print(f"missing: {names}" if lacking else "everything that is needed is there")
    if lacking:
        raise typer.Exit(MISSING)


def checks_table(checks: "list[Check]") -> "Table":
    """One row per check; a dash before what is missing and not needed, a cross before what is needed."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), show_header=False)
    for check in checks:
        mark = (
            "[green]ok[/green]"
            if check.is_sound
            else "[red]X[/red]"
            if check.is_needed
            else "[yellow]-[/yellow]"
        )
        advice = f"\n[dim]{escape(check.advice)}[/dim]" if not check.is_sound and check.advice else ""
        table.add_row(mark, f"[bold]{check.name}[/bold]", escape(check.found) + advice)
    return table
