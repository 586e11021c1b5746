"""Commands that serve: serve, predict."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.cli.console import console
from tf_e2egrec.errors import E2EGRecError

DEFAULT_PORT = 8500


def serve(
    base: Annotated[
        Path,
        typer.Argument(metavar="EXPORT_DIR", help="The model's base path: a directory of integer versions."),
    ],
    name: Annotated[
        str | None, typer.Option(help="Model name in requests; the directory's name by default.")
    ] = None,
    port: Annotated[int, typer.Option(help="gRPC port.")] = DEFAULT_PORT,
    kind: Annotated[str, typer.Option(help="auto, tensorflow_serving or development.")] = "auto",
) -> None:
    """Serve an export: TensorFlow Serving where it is installed, else a local development server.

    TensorFlow Serving is used when `tensorflow_model_server` is on PATH or TENSORFLOW_MODEL_SERVER names it.
    """
    from serving.server_command import start_server

    server = start_server(base, name or base.resolve().name, port=port, kind=kind)
    console.print(f"{server.kind} answers at {server.target}; stop it with Ctrl-C", soft_wrap=True)
    try:
        server.wait()
    finally:
        server.stop()


def predict(
    user: Annotated[str, typer.Option(help="User id.")],
    candidates: Annotated[str, typer.Option(help="Item ids to rank, separated by commas.")],
    name: Annotated[str, typer.Option(help="Model name.")] = "R5",
    recent: Annotated[
        str, typer.Option(help="Items the user engaged with, newest first, separated by commas.")
    ] = "",
    context: Annotated[
        str, typer.Option(help='Context features as JSON, such as {"position": 1}; `time` is in ms.')
    ] = "{}",
    target: Annotated[str, typer.Option(help="host:port of the server.")] = f"127.0.0.1:{DEFAULT_PORT}",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank candidates for a user through a running server.

    Example: e2egrec predict --user 42 --candidates 7,8,9 --recent 5,3
    """
    from serving.client import RankingClient

    try:
        values = json.loads(context)
    except json.JSONDecodeError as error:
        raise E2EGRecError(f'--context is not JSON ({error.msg}); write it like {{"position": 1}}') from None
    with RankingClient(target, name) as client:
        answer = rank(client, user, _split(candidates), _split(recent), values)
    if as_json:
        rows = {key: getattr(answer, key).tolist() for key in ("item_ids", "reward", "stay_seconds", "score")}
        console.print_json(json.dumps({**rows, "version": answer.version}))
    else:
        console.print(ranking_table(answer, user))


def rank(
    client: object, user: str, candidates: list[str], recent: list[str], context: dict[str, object]
) -> object:
    """Rank through a client, sending ids as integers where the model takes integers."""
    from serving.client import RankingClient

    assert isinstance(client, RankingClient)
    try:
        return client.rank(int(user), [int(c) for c in candidates], [int(r) for r in recent], context)
    except (ValueError, E2EGRecError) as error:
        if isinstance(error, E2EGRecError) and "takes string" not in str(error):
            raise
        return client.rank(user, candidates, recent, context)


def ranking_table(answer: object, user: str) -> object:
    """A served ranking as a table."""
    from rich.table import Table

    table = Table(title=f"ranking for user {user} (model version {answer.version})", title_justify="left")  # type: ignore[attr-defined]
    for column in ("rank", "item", "reward", "stay seconds", "score"):
        table.add_column(column, justify="right")
    columns = (answer.item_ids, answer.reward, answer.stay_seconds, answer.score)  # type: ignore[attr-defined]
    for i, (item, reward, stay, score) in enumerate(zip(*columns, strict=True)):
        table.add_row(str(i + 1), str(item), f"{reward:.4f}", f"{stay:.1f}", f"{score:.4f}")
    return table


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
