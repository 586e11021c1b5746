"""The `e2egrec` command."""

import os
import sys
from pathlib import Path

import typer

from tf_e2egrec.cli import data_commands, model_commands, run_command, serving_commands
from tf_e2egrec.cli.console import complain
from tf_e2egrec.errors import E2EGRecError

USER_ERROR = 2

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
app.command()(model_commands.train)
app.command()(model_commands.evaluate)
app.command()(model_commands.export)
app.command()(serving_commands.serve)
app.command()(serving_commands.predict)


def main() -> None:
    """Entry point: one sentence and exit code 2 for a mistake of the user's, a traceback for one of ours."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up chatter; set it to 0 to see it
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        app(standalone_mode=False)
    except E2EGRecError as error:
        complain(str(error))
        sys.exit(USER_ERROR)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        complain("interrupted; finished stages are kept")
        sys.exit(130)
    except KeyboardInterrupt:
        complain("interrupted; finished stages are kept")
        sys.exit(130)
    except PermissionError as error:
        complain(
            f"no permission for {Path(str(error.filename))}; choose another directory or change its mode"
        )
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
