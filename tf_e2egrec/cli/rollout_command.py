"""The command `rollout`: canary, promote, rollback, status."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_e2egrec.cli.console import console, warn, working

if TYPE_CHECKING:
    from rich.table import Table

    from serving.rollout.rollout import Rollout
    from serving.rollout.rollout_status import RolloutChange, RolloutStatus

app = typer.Typer(
    no_args_is_help=True,
    help="Move versions through the labels `canary` and `stable` on running servers: canary, promote, rollback, status.",
)

Config = Annotated[
    Path, typer.Argument(metavar="MODELS_CONFIG", help="The models.config that the servers are started with.")
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target", help="host:port of a server that serves from MODELS_CONFIG; once for each server."
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", help="Model name; may be left out where MODELS_CONFIG lists one.")
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        help="The directory above the versions, where this machine sees it elsewhere than the servers do.",
    ),
]
Wait = Annotated[float, typer.Option("--wait", min=0, help="How long versions may take to load, seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

DEFAULT_TARGETS = ["127.0.0.1:8500"]
DEFAULT_WAIT = 120.0


@app.command()
def canary(
    config: Config,
    version: Annotated[int | None, typer.Option(min=0, help="Which version; the newest by default.")] = None,
    max_difference: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Refuse scores that differ by more than this from the stable version's on its warm-up records.",
        ),
    ] = None,
    target: Targets = DEFAULT_TARGETS,
    name: Name = None,
    models: Models = None,
    wait: Wait = DEFAULT_WAIT,
    as_json: AsJson = False,
) -> None:
    """Load a version beside the stable one, try it by its warm-up records, and point `canary` at it.

    Example: e2egrec rollout canary models.config --target HOST:8500 --max-difference 0.5
    """
    with _open(config, target, name, models, wait) as rollout, working("canary"):
        change = rollout.canary(version, max_difference)
    _report("canary", change, as_json)


@app.command()
def promote(
    config: Config,
    target: Targets = DEFAULT_TARGETS,
    name: Name = None,
    models: Models = None,
    wait: Wait = DEFAULT_WAIT,
    as_json: AsJson = False,
) -> None:
    """Point `stable` at the canary's version; the former one stays loaded.

    Example: e2egrec rollout promote models.config --target HOST:8500
    """
    with _open(config, target, name, models, wait) as rollout, working("promote"):
        change = rollout.promote()
    _report("promote", change, as_json)


@app.command()
def rollback(
    config: Config,
    stop_canary: Annotated[
        bool, typer.Option("--canary", help="Leave `stable` alone; point `canary` back at its version.")
    ] = False,
    target: Targets = DEFAULT_TARGETS,
    name: Name = None,
    models: Models = None,
    wait: Wait = DEFAULT_WAIT,
    as_json: AsJson = False,
) -> None:
    """Point `stable` back at the version that was stable before.

    Example: e2egrec rollout rollback models.config --target HOST:8500
    """
    with _open(config, target, name, models, wait) as rollout, working("rollback"):
        change = rollout.withdraw() if stop_canary else rollout.rollback()
    _report("rollback", change, as_json)


@app.command()
def status(
    config: Config,
    target: Targets = DEFAULT_TARGETS,
    name: Name = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Show versions, labels and states: what MODELS_CONFIG says, and what each server does.

    Example: e2egrec rollout status models.config --target HOST:8500 --json
    """
    with _open(config, target, name, models, DEFAULT_WAIT) as rollout:
        found = rollout.status()
    if as_json:
        console.print_json(json.dumps(dataclasses.asdict(found)))
        return
    console.print(status_table(found))
    for one in found.targets:
        for sentence in [one.unreachable] if one.unreachable else one.errors.values():
            warn(sentence)
    if found.previous is not None:
        console.print(f"`rollback` would make version {found.previous} stable", soft_wrap=True)
    if not found.agrees:
        warn(
            f"not every server does what {config} says; restart those, or give the interrupted command again"
        )


def status_table(found: "RolloutStatus") -> "Table":
    """One row per version, one column per server."""
    from rich.table import Table

    table = Table(title=f"model {found.model}", title_justify="left")
    table.add_column("version", justify="right")
    table.add_column("labels")
    for one in found.targets:
        table.add_column(one.target)
    known = {*found.versions, *(version for one in found.targets for version in one.states)}
    for version in sorted(known, reverse=True):
        labels = ", ".join(label for label, number in found.labels.items() if number == version)
        cells = []
        for one in found.targets:
            state = "unreachable" if one.unreachable else one.states.get(version, "-")
            here = [label for label, number in one.labels.items() if number == version]
            cells.append(f"{state} ({', '.join(here)})" if here else state)
        table.add_row(str(version), labels, *cells)
    return table


def _open(config: Path, targets: list[str], name: str | None, models: Path | None, wait: float) -> "Rollout":
    from serving.rollout.rollout import Rollout

    return Rollout(config, targets, name, models, wait)


def _report(what: str, change: "RolloutChange", as_json: bool) -> None:
    for sentence in change.warnings:
        warn(sentence)
    if as_json:
        console.print_json(json.dumps(dataclasses.asdict(change) | {"difference": _difference(change)}))
        return
    now = ", ".join(f"{label} is version {number}" for label, number in change.labels.items())
    servers = ", ".join(change.targets)
    console.print(f"[bold]{what}[/bold]  model {change.model} on {servers}: {now}", soft_wrap=True)
    if change.records:
        console.print(f"  {change.records} warm-up records were answered by every server", soft_wrap=True)
    difference = change.difference
    if difference is not None:
        console.print(
            f"  scores differ from the stable version's by {difference.mean:.4g} on average, {difference.maximum:.4g} at most "
            f"({difference.scores:,} scores)",
            soft_wrap=True,
        )


def _difference(change: "RolloutChange") -> dict[str, float] | None:
    return None if change.difference is None else change.difference._asdict()
