"""The command that runs the whole main job."""

from collections.abc import Callable
from typing import Annotated

import typer

from tf_e2egrec.cli.console import console
from tf_e2egrec.cli.current import require_current_graph, require_current_subgraphs
from tf_e2egrec.cli.data_commands import make_graph, make_subgraphs
from tf_e2egrec.cli.model_commands import evaluate_run, export_run, train_all
from tf_e2egrec.cli.options import Data, Dataset, Force, Models, Out, Seeds, model_names, open_run
from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.stages.run_directory import RunDirectory


def run(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    models: Models = None,
    seeds: Seeds = 1,
    force: Force = False,
    predict: Annotated[
        bool, typer.Option("--predict", help="End with a prediction answered by a local server.")
    ] = False,
) -> None:
    """Run every stage: swing, subgraphs, train, evaluate, export.

    Stages whose output is up to date are not repeated.

    Example: e2egrec run configs/ml-1m.yaml --data ../ml-1m --out runs/ml-1m --models R0,R5 --seeds 3
    """
    description, directory = open_run(dataset, out, data)
    names = model_names(models, description)
    subgraphs = _up_to_date_subgraphs(description, directory, force)
    train_all(description, directory, subgraphs, names, seeds, force)
    evaluate_run(directory)
    exported = export_run(directory, names[-1], seed=0)
    if predict:
        from tf_e2egrec.cli.demo_prediction import show_demo_prediction

        show_demo_prediction(directory, description, exported.parent)


def _up_to_date_subgraphs(description: DatasetDescription, directory: RunDirectory, force: bool) -> Manifest:
    """Make what is missing or out of date of graph and subgraphs."""
    if force or not _is_current(require_current_graph, description, directory):
        make_graph(description, directory)
    else:
        console.print(f"swing  {directory.graph} is up to date (--force makes it again)", soft_wrap=True)
    if force or not _is_current(require_current_subgraphs, description, directory):
        return make_subgraphs(description, directory)
    console.print(f"subgraphs  {directory.subgraphs} is up to date (--force makes it again)", soft_wrap=True)
    return require_current_subgraphs(description, directory)


def _is_current(
    require: Callable[[DatasetDescription, RunDirectory], Manifest], description: DatasetDescription, run: RunDirectory
) -> bool:
    try:
        require(description, run)
    except StaleArtefactError:
        return False
    return True
