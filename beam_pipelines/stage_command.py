"""What `python -m beam_pipelines.<stage>` has in common for all stages: flags, messages, counters, exit code."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.table import Table

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.errors import E2EGRecError


def stage_parser(stage: str, doc: str | None, output: str, reads_graph: bool) -> argparse.ArgumentParser:
    """A parser with `--input`, `--data`, `--output` and, where the stage reads one, `--graph`.

    Args:
      stage: name of the module.
      doc: its docstring, whose first line describes the command.
      output: where the artefact usually lies, for the help.
      reads_graph: whether the swing stage's artefact is an input.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m beam_pipelines.{stage}", description=(doc or "").splitlines()[0]
    )
    parser.add_argument("--input", required=True, help="data set description (YAML)")
    parser.add_argument("--data", help="folder of the data; the description's own if absent")
    if reads_graph:
        parser.add_argument(
            "--graph", required=True, help="artefact directory of the swing stage, RUN_DIR/graph"
        )
    parser.add_argument("--output", required=True, help=f"artefact directory, {output}")
    return parser


def run_stage(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    stage: Callable[[DatasetDescription, argparse.Namespace, list[str]], Manifest],
    title: str,
    more_tables: Callable[[Manifest], Iterable[Table]] = lambda manifest: (),
) -> int:
    """Parse the flags, run the stage, print its counters.

    Args:
      parser: from `stage_parser`; flags that it does not know are Beam's.
      argv: the command line; that of the process when absent.
      stage: takes the description, the flags and Beam's own, and returns the artefact's manifest.
      title: of the table of counters.
      more_tables: what else to print.

    Returns:
      The exit code: 0, or 2 after a mistake in the input.
    """
    arguments, beam_args = parser.parse_known_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("beam_pipelines").setLevel(logging.INFO)
    try:
        manifest = stage(load_description(arguments.input, arguments.data), arguments, beam_args)
    except E2EGRecError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table("counter", "value", title=f"{title} in {arguments.output}")
    for name, value in manifest.counters.items():
        table.add_row(name, f"{value:,}")
    Console().print(table, *more_tables(manifest))
    return 0
