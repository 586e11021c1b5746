"""The command that runs the whole main job."""

from typing import Annotated

import typer

from tf_e2egrec.cli.data_commands import make_graph, make_subgraphs
from tf_e2egrec.cli.model_commands import evaluate_run, export_newest, train_all
from tf_e2egrec.cli.options import (
    Beam,
    Data,
    Dataset,
    Force,
    Models,
    Out,
    Seeds,
    beam_arguments,
    model_names,
    open_run,
)


def run(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    models: Models = None,
    seeds: Seeds = 1,
    beam: Beam = "",
    force: Force = False,
    predict: Annotated[
        bool, typer.Option("--predict", help="End with a prediction answered by a local server.")
    ] = False,
) -> None:
    """Run every stage: swing, subgraphs, train, evaluate, export.

    Stages whose output is up to date are not repeated. The last model named is the one that is exported.

    Example: e2egrec run configs/ml-1m.yaml --data ../ml-1m --out runs/ml-1m --models R0,R5 --seeds 3
    """
    description, directory = open_run(dataset, out, data)
    names, beam_args = model_names(models, description), beam_arguments(beam)
    make_graph(description, directory, beam_args, force)
    subgraphs = make_subgraphs(description, directory, beam_args, force)
    directory.keep_description(dataset, description.data_root)
    train_all(description, directory, subgraphs, names, seeds, force)
    evaluate_run(directory, force)
    exported = export_newest(directory, names[-1], force)
    if predict:
        from tf_e2egrec.cli.demo_prediction import show_demo_prediction

        show_demo_prediction(directory, exported.parent)
