"""Arguments that several commands share."""

import contextlib
import io
import shlex
from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory

Dataset = Annotated[Path, typer.Argument(metavar="DATASET.yaml", help="The data set description file.")]
Out = Annotated[
    Path, typer.Option("--out", help="The run directory (RUN_DIR) that holds every stage's output.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Where the description's relative paths start; its own folder by default."),
]
Run = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The run directory.")]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="Models to train, separated by commas, such as R0,R1,R3,R5; the description's by default.",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Train each model with the seeds 0 .. N-1.")]
Force = Annotated[bool, typer.Option("--force", help="Make the output again even where it is up to date.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Beam = Annotated[
    str,
    typer.Option(
        "--beam",
        help='Options of Apache Beam, quoted: "--direct_running_mode=multi_processing --direct_num_workers=4".',
    ),
]


def open_run(dataset: Path, out: Path, data: Path | None) -> tuple[DatasetDescription, RunDirectory]:
    """Load the description and make the run directory."""
    description = load_description(dataset, data)
    out.mkdir(parents=True, exist_ok=True)
    return description, RunDirectory(out)


def beam_arguments(text: str) -> list[str]:
    """Split `--beam` as a shell would.

    Raises:
      E2EGRecError: an option's value is wrong, or a quotation mark is missing.
    """
    import beam_pipelines.subgraphs
    import beam_pipelines.swing  # noqa: F401  both declare options of their own
    from beam_pipelines.run import pipeline_options

    said = io.StringIO()
    try:
        arguments = shlex.split(text)
        with contextlib.redirect_stderr(said):
            pipeline_options(arguments).get_all_options()
    except ValueError as error:
        raise E2EGRecError(f"--beam cannot be read: {error}. Received: {text}") from None
    except SystemExit:  # how argparse says no
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise E2EGRecError(f"--beam cannot be used: {reason}; correct the option") from None
    return arguments


def model_names(models: str | None, description: DatasetDescription) -> list[str]:
    """The models a command is about, each a known one that fits the description's graph."""
    from tf_e2egrec.models.variant import require_edges

    names = (
        [name.strip() for name in models.split(",") if name.strip()]
        if models is not None
        else description.training.models
    )
    if not names:
        raise E2EGRecError("no model is named; give `--models` or `training.models` at least one, such as R5")
    for name in names:
        require_edges(name, description.graph.edges)
    return names
