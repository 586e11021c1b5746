"""A prediction over gRPC, to end a run with."""

from pathlib import Path

from tf_e2egrec.cli.console import console
from tf_e2egrec.cli.serving_commands import rank, ranking_table
from tf_e2egrec.stages.run_directory import RunDirectory

_CANDIDATES = 5
_RECENT = 3


def show_demo_prediction(run: RunDirectory, base: Path) -> None:
    """Start a server on a free port, rank a few items for the most active user through it, print the answer,
    stop it.

    Args:
      run: the run directory.
      base: the exported model's base path.
    """
    import numpy as np

    from serving.client.ranking_client import RankingClient
    from serving.server_command import start_server
    from tf_e2egrec.dataset.node_table import NodeTable

    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    by_count = (
        np.argsort(-items.train_count, kind="stable")
        if items.train_count is not None
        else np.arange(len(items.key))
    )
    ids = [str(text) for text in items.id[by_count[: _CANDIDATES + _RECENT]]]
    user = (
        str(users.id[int(np.argmax(users.train_count))])
        if users.train_count is not None
        else str(users.id[0])
    )
    with start_server(base, base.name, port=0) as server:
        with RankingClient(server.target, base.name) as client:
            answer = rank(client, user, ids[:_CANDIDATES], ids[_CANDIDATES:], {})
        console.print(ranking_table(answer, user))
    if user == str(users.key[users.id == user][0]) and "user" in _text_columns(run):
        console.print(
            "no feature table has the text of user ids, so this user is a number that the model does not know; give --user one",
            soft_wrap=True,
        )
    console.print("the prediction above went over gRPC; try it yourself:", soft_wrap=True)
    console.print(f"  e2egrec serve {base} &", soft_wrap=True)
    console.print(
        f"  e2egrec predict --name {base.name} --user {user} --candidates {','.join(ids[:_CANDIDATES])}",
        soft_wrap=True,
    )


def _text_columns(run: RunDirectory) -> list[str]:
    """Columns that the logs have as text."""
    from tf_e2egrec.dataset.artefact import read_manifest

    found: list[str] = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs").details.get(
        "string_columns", []
    )
    return found
