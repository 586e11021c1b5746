"""The `e2egrec` command."""

import sys

import typer

from tf_e2egrec.cli import (
    candidates_command,
    compare_command,
    data_commands,
    doctor_command,
    explore_command,
    loadtest_command,
    model_commands,
    recommend_command,
    rollout_command,
    run_command,
    serving_commands,
    simulate_command,
    unigraph_command,
    validate_command,
)
from tf_e2egrec.cli.console import complain
from tf_e2egrec.cli.quiet import quieten
from tf_e2egrec.cli.system_errors import sentence_about
from tf_e2egrec.errors import E2EGRecError

USER_ERROR = 2
INTERRUPTED = 130  # what a shell reports after Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Train a graph neural network and a recommender together (E2E-GRec), from logs to served predictions.",
)
app.command()(run_command.run)
app.command()(data_commands.synthesize)
app.command()(data_commands.swing)
app.command()(data_commands.subgraphs)
app.command()(data_commands.refresh)
app.command()(validate_command.validate)
app.command()(unigraph_command.unigraph)
app.command()(model_commands.train)
app.command()(model_commands.evaluate)
app.command()(model_commands.export)
app.command()(candidates_command.candidates)
app.command()(compare_command.compare)
app.command()(compare_command.report)
app.command()(simulate_command.simulate)
app.command()(recommend_command.recommend)
app.command()(serving_commands.serve)
app.command()(serving_commands.predict)
app.command()(loadtest_command.loadtest)
app.command()(explore_command.explore)
app.command()(doctor_command.doctor)
app.add_typer(rollout_command.app, name="rollout")


def main() -> None:
    """Entry point: one sentence and exit code 2 for a mistake of the user's, a traceback for one of ours."""
    quieten()
    try:
        app()
    except E2EGRecError as error:
        complain(str(error))
        sys.exit(USER_ERROR)
    except Exception as error:
        sentence = sentence_about(error)
        if sentence is None:
            raise
        complain(sentence)
        sys.exit(USER_ERROR)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            complain("interrupted; finished stages are kept")
        raise


if __name__ == "__main__":
    main()
