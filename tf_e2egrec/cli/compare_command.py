"""Commands that compare models: compare, and report, which renders its tables again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_e2egrec.cli.console import announce, console, working
from tf_e2egrec.cli.data_commands import make_graph, make_subgraphs
from tf_e2egrec.cli.options import AsJson, Beam, Data, Dataset, Force, Seeds, beam_arguments
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.dataset.description import DatasetDescription, load_description

if TYPE_CHECKING:
    from tf_e2egrec.stages.compared_model import ComparedModel

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a comparison.")]


def compare(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", help="The directory (DIR) of the comparison.")],
    data: Data = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            help="Models, separated by commas, such as R0,R5,R5@graph.sampling.fanout=5+training.epochs=2; the description's by "
            "default (`comparison.models`), else R0,R1,R2b,R3,R5,R5-random-graph.",
        ),
    ] = None,
    tune: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=V1,V2 of `training` or `model`, such as training.learning_rate=0.001,0.003; may be repeated. Every model "
            "tries every combination with seed 0, and the validation split chooses. The description's `comparison.tuning` by default."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="frozen or rolling, whatever the description's `evaluation.protocol` is; a directory holds one of them."
        ),
    ] = None,
    seeds: Seeds = 1,
    jobs: Annotated[
        int, typer.Option(min=1, help="Models trained side by side; fewer where memory is short.")
    ] = 1,
    bootstrap: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap over users.")] = 200,
    leak_sample: Annotated[
        int,
        typer.Option(min=0, help="Records per split that the leak checks look at; 0: times and counts only."),
    ] = 200,
    beam: Beam = "",
    force: Force = False,
) -> None:
    """Compare models on one data set: graphs, leak checks, training, predictions, report.

    Everything that is up to date in DIR is reused, so an interrupted comparison goes on where it stopped. Writes DIR/report.json,
    DIR/report.md and DIR/report.html, a page of tables and charts for a browser.

    Example: e2egrec compare configs/ml-1m.yaml --data ../ml-1m --out runs/compare --models R0,R1,R5 --seeds 5
    """
    from tf_e2egrec.comparison.buildable import require_buildable
    from tf_e2egrec.comparison.compare import forget, planned_runs
    from tf_e2egrec.comparison.graphs import require_same_counts
    from tf_e2egrec.comparison.plan import compared_models, graph_of, with_protocol
    from tf_e2egrec.comparison.tuning import trials_of, tuning_grid

    description = with_protocol(load_description(dataset, data), protocol)
    chosen = {model.text: model for model in compared_models(models, description)}
    grid = tuning_grid(tune or [], description)
    trials = {label: trials_of(model, grid, description) for label, model in chosen.items()} if grid else {}
    trained = {trial.text: trial for tried in trials.values() for trial in tried} or chosen
    for model in [*chosen.values(), *trained.values()]:
        if model.overrides:
            require_buildable(model, description)
    beam_args, directory = beam_arguments(beam), CompareDirectory(out)
    out.mkdir(parents=True, exist_ok=True)
    leak_checks: list[dict[str, Any]] = []
    graphs = {graph_of(model, description): model for model in chosen.values()}
    for graph, model in graphs.items():
        described = _make_graph_of(directory, dataset, description, graph, model, beam_args, force)
        leak_checks += _checked(directory, described, graph, leak_sample)
    require_same_counts(directory, list(graphs))
    if force:
        forget(directory, planned_runs(description, trained, seeds))
    tuning: dict[str, Any] = {}
    if grid:
        chosen, tuning = _tune(directory, description, grid, trials, jobs)
    _train_and_predict(directory, description, chosen, seeds, jobs)
    _report(directory, description, chosen, seeds, jobs, bootstrap, leak_checks, tuning)


def report(directory: Directory, as_json: AsJson = False) -> None:
    """Write DIR/report.md and DIR/report.html again from DIR/report.json, and print the tables.

    Example: e2egrec report runs/compare

    Example: e2egrec report runs/compare --json
    """
    from tf_e2egrec.evaluation.comparison import HTML_FILE, MARKDOWN_FILE, regenerate
    from tf_e2egrec.evaluation.comparison_tables import render_comparison

    found = regenerate(directory)
    if as_json:
        console.print_json(json.dumps(found))
        return
    console.print(render_comparison(found))
    console.print(f"wrote {directory / MARKDOWN_FILE} and {directory / HTML_FILE}", soft_wrap=True)


def _make_graph_of(
    directory: CompareDirectory,
    dataset: Path,
    description: DatasetDescription,
    graph: str,
    model: "ComparedModel",
    beam_args: list[str],
    force: bool,
) -> DatasetDescription:
    """Make the graph and the subgraphs that a model needs; the description that says so."""
    from beam_pipelines.swing import swing_fingerprint
    from tf_e2egrec.comparison.graphs import share_edges
    from tf_e2egrec.comparison.plan import edges_of, write_description

    file, run = directory.description_file(graph), directory.run(graph)
    edges, protocol = edges_of(model.variant, description), description.evaluation.protocol
    write_description(dataset, edges, file, model.own_graph(description), protocol)
    described = load_description(file, description.data_root)
    run.root.mkdir(parents=True, exist_ok=True)
    shared = share_edges(directory, graph, swing_fingerprint(described))
    if shared is not None:
        console.print(f"[bold]swing[/bold]  {run.graph} shares the edges of {shared}", soft_wrap=True)
    make_graph(described, run, beam_args, force and shared is None)
    make_subgraphs(described, run, beam_args, force)
    run.keep_description(file, description.data_root)
    return described


def _checked(
    directory: CompareDirectory, description: DatasetDescription, graph: str, leak_sample: int
) -> list[dict[str, Any]]:
    """Run the leak checks on the artefacts of one graph."""
    from beam_pipelines.transforms.file_patterns import open_raw
    from tf_e2egrec.comparison.leaks import check_leaks

    run = directory.run(graph)
    announce("check for leaks", f"{run.graph}, {run.subgraphs} and the logs", "nothing")
    with working("check for leaks"):
        found = check_leaks(run, description, _log_files(description), open_raw, leak_sample)
    for one in found:
        console.print(f"  {one['check']}: {one['looked_at']:,} looked at, no leak found", soft_wrap=True)
    return [{**one, "graph": graph} for one in found]


def _log_files(description: DatasetDescription) -> list[tuple[int, str]]:
    """Number of the log and path of every file of every log."""
    from beam_pipelines.transforms.file_patterns import match_files

    return [
        (number, file.path)
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    ]


def _tune(
    directory: CompareDirectory,
    description: DatasetDescription,
    grid: dict[str, list[Any]],
    trials: dict[str, list["ComparedModel"]],
    jobs: int,
) -> tuple[dict[str, "ComparedModel"], dict[str, Any]]:
    """Make the trials that are missing; the chosen models, and what the report says about the choice."""
    from tf_e2egrec.comparison.compare import missing_runs
    from tf_e2egrec.comparison.processes import run_processes
    from tf_e2egrec.comparison.tuning import choose, trial_runs, tuning_report

    runs = trial_runs(description, trials)
    missing = missing_runs(directory, runs, "valid")
    if len(missing) < len(runs):
        what = f"{len(runs) - len(missing)} of {len(runs)} trials"
        console.print(f"[bold]tune[/bold]  {what} are up to date (--force makes them again)")
    if missing:
        reads = f"the training and validation splits of {directory.root / 'graphs'}"
        announce("tune", reads, str(directory.root / "tuning"))
        run_processes(directory, missing, jobs, console, "valid")
    chosen = choose(directory, trials)
    return chosen, tuning_report(directory, description, grid, trials, chosen)


def _train_and_predict(
    directory: CompareDirectory,
    description: DatasetDescription,
    models: dict[str, "ComparedModel"],
    seeds: int,
    jobs: int,
) -> None:
    """Make the predictions that are missing."""
    from tf_e2egrec.comparison.compare import missing_runs, planned_runs
    from tf_e2egrec.comparison.processes import run_processes

    runs = planned_runs(description, models, seeds)
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
    models: dict[str, "ComparedModel"],
    seeds: int,
    jobs: int,
    draws: int,
    leak_checks: list[dict[str, Any]],
    tuning: dict[str, Any],
) -> None:
    """Write and print the report."""
    from rich.progress import Progress

    from beam_pipelines.transforms.file_patterns import open_raw
    from tf_e2egrec.comparison.compare import comparison_report, planned_runs, read_predictions
    from tf_e2egrec.comparison.facts import read_row_facts
    from tf_e2egrec.evaluation.comparison import HTML_FILE, steps_of, write_comparison
    from tf_e2egrec.evaluation.comparison_tables import render_comparison

    announce("report", str(directory.root / "predictions"), str(directory.root / "report.json"))
    runs = planned_runs(description, models, seeds)
    rows, predicted = read_predictions(directory, description, runs)
    with working("slice the test rows"):
        facts = read_row_facts(directory, runs, _log_files(description), open_raw)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("report", total=steps_of(rows, predicted, draws, facts))
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
            facts=facts,
        )
    console.print(render_comparison(write_comparison(made | {"tuning": tuning}, directory.root)))
    console.print(f"wrote {directory.root / HTML_FILE}", soft_wrap=True)
