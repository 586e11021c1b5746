"""The command that runs the whole main job."""

from typing import Annotated

import typer

from tf_e2egrec.cli.console import console
from tf_e2egrec.cli.data_commands import make_graph, make_subgraphs
from tf_e2egrec.cli.model_commands import evaluate_run, export_run, train_all
from tf_e2egrec.cli.options import Data, Dataset, Force, Models, Out, Seeds, model_names, open_run
from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
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
    from beam_pipelines.subgraphs import require_current_subgraphs
    from beam_pipelines.swing import require_current_graph

    try:
        if force:
            raise E2EGRecError("forced")
        require_current_graph(description, directory.graph)
        console.print(f"swing  {directory.graph} is up to date (--force makes it again)", soft_wrap=True)
    except E2EGRecError:
        make_graph(description, directory)
    try:
        if force:
            raise E2EGRecError("forced")
        manifest = require_current_subgraphs(description, directory.graph, directory.subgraphs)
        console.print(
            f"subgraphs  {directory.subgraphs} is up to date (--force makes it again)", soft_wrap=True
        )
        return manifest
    except E2EGRecError:
        return make_subgraphs(description, directory)
