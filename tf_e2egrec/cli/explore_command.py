"""The command that opens a local page to look at a run with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_e2egrec.cli.console import announce, console, warn, working
from tf_e2egrec.cli.options import Run
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory

if TYPE_CHECKING:
    from tf_e2egrec.evaluation.leak_checks import LoggedRows


def explore(
    run_dir: Run,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Where the description's relative paths start, as in the commands that made RUN_DIR; where that was, by default. "
            "Without the logs, co-users and histories are left out.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Whose ranking is shown; R0 stands beside it where it is trained.")
    ] = "R5",
    seed: Annotated[int, typer.Option(min=0, help="Which seed.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0: any free one.")] = 8600,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the default browser.")
    ] = True,
) -> None:
    """Open a local page: an item's neighbours and why they are, a user's ranking with and without the graph.

    Reads RUN_DIR and the logs, and changes neither. The page is answered on this machine alone, until Ctrl-C.

    Example: e2egrec explore runs/demo/run

    Example: e2egrec explore RUN_DIR --data FOLDER --model R5 --port 0 --no-browser
    """
    from tf_e2egrec.explorer.explored_run import ExploredRun
    from tf_e2egrec.explorer.explorer_server import ExplorerServer
    from tf_e2egrec.explorer.user_rankings import UserRankings
    from tf_e2egrec.models.variant import variant_named

    variant_named(model)
    announce("explore", str(run_dir), "nothing")
    run = RunDirectory(run_dir)
    with working("explore"):
        explored = ExploredRun(run, positive_rows(run, data))
        rankings = UserRankings(explored, model, seed)
    with ExplorerServer(explored, rankings, port) as server:
        console.print(f"{server.url} shows {run_dir}; stop it with Ctrl-C", soft_wrap=True)
        if browser and console.is_terminal:
            typer.launch(server.url)
        wait()
    console.print("stopped")


def wait() -> None:
    """Until Ctrl-C."""
    import threading

    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


def positive_rows(run: RunDirectory, data: Path | None) -> "LoggedRows | None":
    """The rows that the graph was made of; None, with a warning, where the logs are not where the description says."""
    from beam_pipelines.transforms.file_patterns import match_files, open_raw
    from tf_e2egrec.comparison.logs import all_events, rows_with
    from tf_e2egrec.dataset.description import load_description
    from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW

    run.description()  # a sentence where RUN_DIR is none
    description = load_description(run.description_file, data if data is not None else run.kept_data_root())
    try:
        files = [
            (number, file.path)
            for number, log in enumerate(description.interactions)
            for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
        ]
    except E2EGRecError as error:
        if data is not None:
            raise
        warn(f"co-users and histories are left out: {error}; name the folder with --data")
        return None
    events = all_events(description, files, open_raw)
    if not len(events):
        raise E2EGRecError(
            f"the logs in {description.data_root} have no row that can be used; name the folder of the run's logs with --data"
        )
    role = RANKER_ROW if description.graph.regime == "equal" else GRAPH_ROW
    return rows_with(events.take((events.role & role) > 0), description, description.graph.positive)
