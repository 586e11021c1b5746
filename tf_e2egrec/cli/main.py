"""The `e2egrec` command."""

import errno
import sys

import typer

from tf_e2egrec.cli import (
    candidates_command,
    compare_command,
    data_commands,
    loadtest_command,
    model_commands,
    recommend_command,
    rollout_command,
    run_command,
    serving_commands,
    simulate_command,
    unigraph_command,
)
from tf_e2egrec.cli.console import complain
from tf_e2egrec.cli.quiet import quieten
from tf_e2egrec.errors import E2EGRecError

USER_ERROR = 2
INTERRUPTED = 130  # what a shell reports after Ctrl-C
_NO_PERMISSION = "no permission for {}; choose another directory or change its mode"
_IN_THE_WAY = "{} is, or lies under, a file where a directory is needed; choose another path"
_MENDED_BY_THE_USER = {
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EROFS: "{} lies on a read-only file system; choose another directory",
    errno.ENOSPC: "no space is left for {}; free some, or choose another directory",
    errno.EDQUOT: "the quota is used up by {}; free some space, or choose another directory",
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
}

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
app.add_typer(rollout_command.app, name="rollout")


def main() -> None:
    """Entry point: one sentence and exit code 2 for a mistake of the user's, a traceback for one of ours."""
    quieten()
    try:
        app()
    except E2EGRecError as error:
        complain(str(error))
        sys.exit(USER_ERROR)
    except OSError as error:
        if error.errno not in _MENDED_BY_THE_USER:
            raise
        complain(f"{_MENDED_BY_THE_USER[error.errno].format(error.filename or 'the output')}")
        sys.exit(USER_ERROR)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            complain("interrupted; finished stages are kept")
        raise


if __name__ == "__main__":
    main()
