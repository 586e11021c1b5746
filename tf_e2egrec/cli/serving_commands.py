"""Commands that serve: serve, predict."""

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_e2egrec.cli.console import console
from tf_e2egrec.errors import E2EGRecError

if TYPE_CHECKING:
    from rich.table import Table

    from serving.client.ranked_candidates import RankedCandidates
    from serving.client.ranking_client import RankingClient
    from serving.client.retrieved_items import RetrievedItems

DEFAULT_PORT = 8500
_INTEGER = re.compile(r"-?[0-9]+")
_ID_INPUTS = ("user_id:", "candidates:", "recent:")  # how a refused id's sentence starts


def serve(
    base: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT_DIR", help="The model's base path: a directory of integer versions."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Model name in requests; the directory's name by default.")
    ] = None,
    port: Annotated[int, typer.Option(help="gRPC port.")] = DEFAULT_PORT,
    rest_port: Annotated[
        int | None, typer.Option(help="HTTP port of the REST interface; none by default.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="In place of EXPORT_DIR, a models.config: several models, versions, labels."),
    ] = None,
    config_poll: Annotated[
        int, typer.Option(help="Seconds between two readings of --config; 0: at the start alone.", min=0)
    ] = 0,
    batching: Annotated[
        Path | None, typer.Option(help="File of batching parameters; requests are not joined without.")
    ] = None,
    batching_per_model: Annotated[
        bool, typer.Option("--batching-per-model", help="Join by the batching_params.pbtxt of each version.")
    ] = False,
    kind: Annotated[str, typer.Option(help="auto, tensorflow_serving or development.")] = "auto",
) -> None:
    """Serve an export: TensorFlow Serving where it is installed, else a local development server.

    TensorFlow Serving is used when `tensorflow_model_server` is on PATH or TENSORFLOW_MODEL_SERVER names it. Runs until Ctrl-C.

    Example: e2egrec serve runs/demo/run/export/R5 --port 8500 --rest-port 8501

    Example: e2egrec serve --config models.config --config-poll 10
    """
    from serving.development_server.development_server import wait_for_interrupt
    from serving.server_command import start_server

    server = start_server(
        base,
        name or (base.resolve().name if base else ""),
        port=port,
        rest_port=rest_port,
        model_config_file=config,
        model_config_poll_seconds=config_poll,
        batching_parameters_file=batching,
        batching_per_model=batching_per_model,
        kind=kind,
    )
    rest = f" (REST: {server.rest_target})" if server.rest_target else ""
    console.print(f"{server.kind} answers at {server.target}{rest}; stop it with Ctrl-C", soft_wrap=True)
    with server:
        wait_for_interrupt(server.wait)
    console.print("stopped")


def predict(
    user: Annotated[str, typer.Option(help="User id.")],
    candidates: Annotated[str, typer.Option(help="Item ids to rank, separated by commas.")] = "",
    name: Annotated[str, typer.Option(help="Model name.")] = "R5",
    recent: Annotated[
        str, typer.Option(help="Items the user engaged with, newest first, separated by commas.")
    ] = "",
    context: Annotated[
        str, typer.Option(help='Context features as JSON, such as {"position": 1}; `time` is in ms.')
    ] = "{}",
    target: Annotated[str, typer.Option(help="host:port of the server.")] = f"127.0.0.1:{DEFAULT_PORT}",
    retrieve: Annotated[
        int | None,
        typer.Option(min=1, help="Rank so many items that a model of `e2egrec candidates` finds, instead."),
    ] = None,
    candidates_name: Annotated[
        str | None, typer.Option(help="Name of that model; NAME-candidates by default.")
    ] = None,
    candidates_target: Annotated[
        str | None, typer.Option(help="host:port of its server; that of --target by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank candidates for a user through a running server.

    Example: e2egrec predict --user 42 --candidates 7,8,9 --recent 5,3
    """
    from serving.client.ranking_client import RankingClient

    values = _context(context)
    listed, versions = _split(candidates), {}
    if retrieve is not None:
        if listed:
            raise E2EGRecError("--candidates and --retrieve both say what to rank; leave one of them out")
        with RankingClient(candidates_target or target, candidates_name or f"{name}-candidates") as finder:
            found = find(finder, _split(recent), retrieve)
        listed, versions = [str(one) for one in found.item_ids], {"candidates_version": found.version}
    with RankingClient(target, name) as client:
        answer = rank(client, user, listed, _split(recent), values)
    if as_json:
        rows = {key: getattr(answer, key).tolist() for key in ("item_ids", "reward", "stay_seconds", "score")}
        console.print_json(json.dumps({**rows, "version": answer.version, **versions}))
    else:
        console.print(ranking_table(answer, user))


def rank(
    client: "RankingClient", user: str, candidates: list[str], recent: list[str], context: dict[str, object]
) -> "RankedCandidates":
    """Rank through a client, sending ids as integers where the model takes integers and they are some.

    Raises:
      E2EGRecError: as `RankingClient.rank`.
    """
    refusals = []
    for (one,), ids in itertools.product(_forms([user]), _forms([*candidates, *recent])):
        try:
            return client.rank(one, ids[: len(candidates)], ids[len(candidates) :], context)
        except E2EGRecError as error:
            if not str(error).startswith(_ID_INPUTS):  # anything but the type of an id
                raise
            refusals.append(error)
    raise refusals[-1]


def find(client: "RankingClient", recent: list[str], limit: int) -> "RetrievedItems":
    """Find candidates through a client, sending ids as `rank` does.

    Raises:
      E2EGRecError: as `RankingClient.retrieve`.
    """
    refusals = []
    for ids in _forms(recent):
        try:
            return client.retrieve(ids, limit)
        except E2EGRecError as error:
            if not str(error).startswith(_ID_INPUTS):
                raise
            refusals.append(error)
    raise refusals[-1]


def ranking_table(answer: "RankedCandidates", user: str) -> "Table":
    """A served ranking as a table."""
    from rich.table import Table

    table = Table(title=f"ranking for user {user} (model version {answer.version})", title_justify="left")
    for column in ("rank", "item", "reward", "stay seconds", "score"):
        table.add_column(column, justify="right")
    columns = (answer.item_ids, answer.reward, answer.stay_seconds, answer.score)
    for i, (item, reward, stay, score) in enumerate(zip(*columns, strict=True)):
        table.add_row(str(i + 1), str(item), f"{reward:.4f}", f"{stay:.1f}", f"{score:.4f}")
    return table


def _forms(ids: list[str]) -> list[list[Any]]:
    """The ids as integers, where all are some, and as they are."""
    are_integers = all(_INTEGER.fullmatch(one) for one in ids)
    return [[int(one) for one in ids], ids] if are_integers else [ids]


def _context(text: str) -> dict[str, object]:
    """The value of `--context`."""
    example = '{"position": 1}'
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise E2EGRecError(f"--context is not JSON ({error.msg}); write it like {example}") from None
    if not isinstance(values, dict):
        raise E2EGRecError(
            f"--context must be a JSON object, a value by feature such as {example}. Received: {text}"
        )
    return values


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
