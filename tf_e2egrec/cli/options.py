"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.dataset.description import DatasetDescription, load_description
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


def open_run(dataset: Path, out: Path, data: Path | None) -> tuple[DatasetDescription, RunDirectory]:
    """Load the description and prepare the run directory, which keeps a copy of it."""
    description = load_description(dataset, data)
    run = RunDirectory(out)
    out.mkdir(parents=True, exist_ok=True)
    if dataset.resolve() != run.description_file.resolve():
        copy = run.root / ".dataset.yaml.tmp"
        copy.write_text(dataset.read_text(encoding="utf-8"), encoding="utf-8")
        copy.replace(run.description_file)
    return description, run


def model_names(models: str | None, description: DatasetDescription) -> list[str]:
    """The models a command is about, each a known one."""
    from tf_e2egrec.models.variant import variant_named

    names = (
        [name.strip() for name in models.split(",") if name.strip()]
        if models
        else description.training.models
    )
    for name in names:
        variant_named(name)
    return names
