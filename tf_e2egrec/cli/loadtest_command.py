"""The command that drives traffic against a server."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tf_e2egrec.cli.console import complain, console, warn
from tf_e2egrec.errors import E2EGRecError

if TYPE_CHECKING:
    from rich.table import Table

    from serving.load_test.load_outcome import LoadOutcome
    from serving.load_test.load_plan import LoadPlan
    from serving.load_test.load_requests import Ids

TOO_SLOW = 1  # the exit code where a bound was missed


def loadtest(
    base: Annotated[
        Path | None,
        typer.Argument(
            metavar="[EXPORT_DIR]",
            help="The model's base path: item ids are taken from it; a server is started for it without --target.",
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="host:port of a running server.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Model name; the name of EXPORT_DIR by default, or R5.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Version number or label; the newest by default.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 100.0,
    seconds: Annotated[float, typer.Option(help="How long they are sent.")] = 10.0,
    arrivals: Annotated[
        Literal["poisson", "uniform"], typer.Option(help="Independent users, or evenly spaced requests.")
    ] = "poisson",
    connections: Annotated[int, typer.Option(min=1, help="To the server.")] = 4,
    candidates: Annotated[int, typer.Option(min=1, help="Of each ranking request.")] = 100,
    recent: Annotated[int, typer.Option(min=0, help="Recent items at most.")] = 20,
    items: Annotated[
        Path | None, typer.Option(help="Text file of item ids to draw from, one a line.")
    ] = None,
    users: Annotated[Path | None, typer.Option(help="The same of users.")] = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Send the warm-up records of EXPORT_DIR instead of drawn requests."),
    ] = False,
    timeout: Annotated[float, typer.Option(help="Of one request, seconds; none is repeated.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the requests and of Poisson arrivals.")] = 0,
    max_p99: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with code 1 where p99 is higher, ms; or where any request fails."),
    ] = None,
    max_error_rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with code 1 where a larger share of requests fails."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="PNG to write: latency over time and its distribution.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Load a server with open-loop traffic and print latencies, errors and answers by version.

    Requests are sent at their time, however slowly others are answered, and latency counts from that time: a server that
    stalls cannot hide it.

    Example: e2egrec loadtest runs/demo/run/export/R5 --rate 200

    Example: e2egrec loadtest --target 127.0.0.1:8500 --name R5 --items items.txt --max-p99 50
    """
    from serving.load_test.load_plan import LoadPlan
    from serving.load_test.load_requests import Shape

    if base is None and target is None:
        raise E2EGRecError("name EXPORT_DIR to start a server for it, or --target of a running one")
    write_plot = _plotter() if plot is not None else None
    plan = LoadPlan(rate, seconds, connections, timeout, arrivals, seed)
    model = name or (base.resolve().name if base is not None else "R5")
    with _server(base, target, model, quiet=as_json) as address:
        requests = _requests(
            base, address, model, version, items, users, Shape(candidates, recent), seed, replay
        )
        if not as_json:
            console.print(
                f"[bold]loadtest[/bold]  sends {len(requests)} different requests in turn to {model} on {address}",
                soft_wrap=True,
            )
        outcome = _run(address, requests, plan, quiet=as_json)
    _show(outcome, plan, model, as_json, plot, write_plot)
    missed = outcome.violations(None if max_p99 is None else max_p99 / 1000, max_error_rate)
    for sentence in missed:
        complain(sentence)
    if missed:
        raise typer.Exit(TOO_SLOW)


def summary(outcome: "LoadOutcome", plan: "LoadPlan") -> dict[str, Any]:
    """The figures, as `--json` prints them; milliseconds, None where nothing was answered."""

    def in_ms(quantiles: dict[str, float]) -> dict[str, float | None]:
        return {name: None if math.isnan(one) else round(1000 * one, 3) for name, one in quantiles.items()}

    return {
        "requests": len(outcome.scheduled),
        "answered": int(outcome.answered.sum()),
        "rate": plan.rate,
        "achieved_rate": round(outcome.achieved_rate, 2),
        "latency_ms": in_ms(outcome.percentiles()),
        "send_lag_ms": in_ms(outcome.send_lag()),
        "error_rate": outcome.error_rate,
        "errors": outcome.errors,
        "versions": outcome.versions,
    }


def outcome_table(outcome: "LoadOutcome", plan: "LoadPlan") -> "Table":
    """The figures as a table."""
    from rich.table import Table

    figures = summary(outcome, plan)
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_row("requests", f"{figures['requests']:,}")
    table.add_row("answered", f"{figures['answered']:,}")
    table.add_row("answers per second", f"{figures['achieved_rate']:,.1f} of {plan.rate:,.1f} asked")
    for name, value in figures["latency_ms"].items():
        table.add_row(f"latency {name}", "-" if value is None else f"{value:,.2f} ms")
    table.add_row("sent late, p99", f"{figures['send_lag_ms']['p99']:,.2f} ms")
    for version, count in figures["versions"].items():
        table.add_row(f"answered by version {version}", f"{count:,}")
    for code, count in figures["errors"].items():
        table.add_row(f"failed, {code}", f"{count:,}")
    return table


@contextlib.contextmanager
def _server(base: Path | None, target: str | None, model: str, quiet: bool) -> Iterator[str]:
    """The address of the server that was named, or of one started for the export and stopped afterwards."""
    if target is not None or base is None:
        yield str(target)
        return
    from serving.server_command import start_server

    # What the server says as it starts would be in the way of the JSON.
    with contextlib.redirect_stdout(None) if quiet else contextlib.nullcontext():
        server = start_server(base, model, port=0)
    with server:
        if server.kind == "development":
            warn(
                "the development server shares this process with the load: its figures say little of TensorFlow Serving"
            )
        yield server.target


def _requests(
    base: Path | None,
    target: str,
    model: str,
    version: str | None,
    items: Path | None,
    users: Path | None,
    shape: Any,
    seed: int,
    replay: bool,
) -> list[Any]:
    """What is sent."""
    from serving.client.ranking_client import RankingClient
    from serving.load_test.load_requests import drawn_requests, recorded_requests

    wanted = int(version) if version is not None and version.isdigit() else version
    if replay:
        if base is None:
            raise E2EGRecError("--replay sends the warm-up records of an export; name EXPORT_DIR, too")
        return recorded_requests(base, model, wanted)
    with RankingClient(target, model, timeout=30) as client:
        signatures = client.signatures(wanted)
    ids = _ids(base, signatures, items, users)
    return drawn_requests(model, signatures, ids, shape, wanted, seed)


def _ids(base: Path | None, signatures: dict[str, Any], items: Path | None, users: Path | None) -> "Ids":
    """Ids of files, or else of the export, or else made-up ones."""
    from serving.load_test.load_requests import Ids, exported_ids, read_ids, stranger_ids, takes_text

    text, user_text = takes_text(signatures), takes_text(signatures, "user_id")
    # An export of text ids holds their hashes.
    known_items = [] if base is None or text else exported_ids(base, "item")
    known_users = [] if base is None or user_text else exported_ids(base, "user")
    item_ids = read_ids(items, text) if items is not None else known_items
    user_ids = read_ids(users, user_text) if users is not None else known_users
    if not item_ids:
        warn(
            "no item id is known: made-up ones are sent, which the model treats as unknown; name --items FILE"
        )
    return Ids(item_ids or stranger_ids(text), user_ids or stranger_ids(user_text))


def _run(target: str, requests: list[Any], plan: "LoadPlan", quiet: bool) -> "LoadOutcome":
    from rich.progress import Progress

    from serving.load_test.load_test import run_load_test

    shown = console.is_terminal and not quiet
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("loadtest", total=len(plan.send_times()))
        return run_load_test(
            target, requests, plan, lambda finished: progress.update(task, completed=finished)
        )


def _show(
    outcome: "LoadOutcome",
    plan: "LoadPlan",
    model: str,
    as_json: bool,
    plot: Path | None,
    write_plot: Any,
) -> None:
    """Print the figures and write the plot, if one was asked for."""
    if as_json:
        console.print_json(json.dumps(summary(outcome, plan)))
    else:
        console.print(outcome_table(outcome, plan))
    if plot is not None:
        title = f"{model}: {plan.rate:g} requests/s for {plan.seconds:g} s, {plan.arrivals} arrivals"
        write_plot(outcome, plot, title)
        if not as_json:
            console.print(f"  wrote {plot}", soft_wrap=True)


def _plotter() -> Any:
    """The function that writes the plot, found before the test rather than missed after it."""
    try:
        from serving.load_test.load_plot import write_load_plot
    except ImportError:
        raise E2EGRecError(
            "the plot needs matplotlib, which is not installed; run `pip install matplotlib`, or leave --plot out"
        ) from None
    return write_load_plot
