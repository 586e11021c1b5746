"""Commands that compare models: compare, and report, which renders its tables again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tf_e2egrec.cli.console import announce, console, working
from tf_e2egrec.cli.data_commands import make_graph, make_subgraphs
from tf_e2egrec.cli.options import Beam, Data, Dataset, Force, Seeds, beam_arguments
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.dataset.description.graph_spec import EdgeKind
from tf_e2egrec.stages.compare_directory import CompareDirectory

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a comparison.")]


def compare(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", help="The directory (DIR) of the comparison.")],
    data: Data = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models", help="Models, separated by commas; R0,R1,R2b,R3,R5,R5-random-graph by default."
        ),
    ] = None,
    seeds: Seeds = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Models trained side by side.")] = 1,
    bootstrap: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap over users.")] = 200,
    leak_sample: Annotated[
        int,
        typer.Option(min=0, help="Records per split that the leak checks look at; 0: times and counts only."),
    ] = 200,
    beam: Beam = "",
    force: Force = False,
) -> None:
    """Compare models on one data set: graphs, leak checks, training, predictions, report.

    Everything that is up to date in DIR is reused, so an interrupted comparison goes on where it stopped. Writes DIR/report.json and
    DIR/report.md.

    Example: e2egrec compare configs/ml-1m.yaml --data ../ml-1m --out runs/compare --models R0,R1,R5 --seeds 5
    """
    from tf_e2egrec.stages.compare_plan import compared_models, edges_of

    description = load_description(dataset, data)
    names, beam_args = compared_models(models), beam_arguments(beam)
    directory = CompareDirectory(out)
    out.mkdir(parents=True, exist_ok=True)
    leak_checks: list[dict[str, Any]] = []
    for edges in dict.fromkeys(edges_of(name, description) for name in names):
        described = _make_graph_of(directory, dataset, description, edges, beam_args, force)
        leak_checks += _checked(directory, described, leak_sample)
    _train_and_predict(directory, description, names, seeds, jobs, force)
    _report(directory, description, names, seeds, jobs, bootstrap, leak_checks)


def report(directory: Directory) -> None:
    """Write DIR/report.md again from DIR/report.json, and print its tables."""
    from tf_e2egrec.evaluation.comparison import MARKDOWN_FILE, regenerate
    from tf_e2egrec.evaluation.comparison_tables import render_comparison

    console.print(render_comparison(regenerate(directory)))
    console.print(f"wrote {directory / MARKDOWN_FILE}", soft_wrap=True)


def _make_graph_of(
    directory: CompareDirectory,
    dataset: Path,
    description: DatasetDescription,
    edges: EdgeKind,
    beam_args: list[str],
    force: bool,
) -> DatasetDescription:
    """Make graph and subgraphs with one kind of edges; the description that says so."""
    from tf_e2egrec.stages.compare_plan import write_description

    file, run = directory.description_file(edges), directory.run(edges)
    write_description(dataset, edges, file)
    described = load_description(file, description.data_root)
    run.root.mkdir(parents=True, exist_ok=True)
    make_graph(described, run, beam_args, force)
    make_subgraphs(described, run, beam_args, force)
    run.keep_description(file)
    return described


def _checked(
    directory: CompareDirectory, description: DatasetDescription, leak_sample: int
) -> list[dict[str, Any]]:
    """Run the leak checks on the artefacts of one graph."""
    from beam_pipelines.transforms.file_patterns import match_files, open_raw
    from tf_e2egrec.stages.compare_leaks import check_leaks

    run = directory.run(description.graph.edges)
    announce("check for leaks", f"{run.graph}, {run.subgraphs} and the logs", "nothing")
    files = [
        (number, file.path)
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    ]
    with working("check for leaks"):
        found = check_leaks(run, description, files, open_raw, leak_sample)
    for one in found:
        console.print(f"  {one['check']}: {one['looked_at']:,} looked at, no leak found", soft_wrap=True)
    return found


def _train_and_predict(
    directory: CompareDirectory,
    description: DatasetDescription,
    names: list[str],
    seeds: int,
    jobs: int,
    force: bool,
) -> None:
    """Make the predictions that are missing."""
    from tf_e2egrec.stages.compare import forget, missing_runs, planned_runs
    from tf_e2egrec.stages.compare_processes import run_processes

    runs = planned_runs(description, names, seeds)
    if force:
        forget(directory, runs)
    missing = missing_runs(directory, runs)
    if len(missing) < len(runs):
        what = f"{len(runs) - len(missing)} of {len(runs)} runs"
        console.print(f"[bold]train and predict[/bold]  {what} are up to date (--force makes them again)")
    if missing:
        announce("train and predict", str(directory.root / "graphs"), str(directory.root / "predictions"))
        run_processes(directory, missing, jobs, console)


def _report(
    directory: CompareDirectory,
    description: DatasetDescription,
    names: list[str],
    seeds: int,
    jobs: int,
    draws: int,
    leak_checks: list[dict[str, Any]],
) -> None:
    """Write and print the report."""
    from rich.progress import Progress

    from tf_e2egrec.evaluation.comparison import steps_of, write_comparison
    from tf_e2egrec.evaluation.comparison_tables import render_comparison
    from tf_e2egrec.stages.compare import comparison_report, planned_runs, read_predictions

    announce("report", str(directory.root / "predictions"), str(directory.root / "report.json"))
    runs = planned_runs(description, names, seeds)
    rows, predicted = read_predictions(directory, description, runs)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("report", total=steps_of(rows, predicted, draws))
        made = comparison_report(
            directory,
            description,
            runs,
            rows,
            predicted,
            leak_checks,
            draws=draws,
            jobs=jobs,
            advance=lambda: progress.advance(task),
        )
    console.print(render_comparison(write_comparison(made, directory.root)))
