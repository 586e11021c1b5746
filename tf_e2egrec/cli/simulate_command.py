"""The command that simulates policies on generated logs."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.cli.compare_command import compare
from tf_e2egrec.cli.console import announce, console
from tf_e2egrec.cli.data_commands import write_logs
from tf_e2egrec.cli.options import Seeds
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.dataset.description import load_description, parse_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig


def simulate(
    out: Annotated[Path, typer.Option("--out", help="The directory (DIR) of the simulation.")],
    models: Annotated[
        str, typer.Option("--models", help="Models, separated by commas: by default LTR, cascade and E2E.")
    ] = "R0,R2b,R5",
    seeds: Seeds = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Models trained side by side.")] = 1,
    candidates: Annotated[int, typer.Option(min=5, help="Candidates of each request.")] = 20,
    bootstrap: Annotated[int, typer.Option(min=2, help="Draws of the bootstrap over users.")] = 200,
    impressions: Annotated[
        int, typer.Option(min=1000, help="Rows of the video log; the last day's share gives way to requests.")
    ] = ShortVideoConfig.impressions,
    users: Annotated[int, typer.Option(min=10, help="How many.")] = ShortVideoConfig.users,
    videos: Annotated[int, typer.Option(min=50, help="How many.")] = ShortVideoConfig.videos,
    days: Annotated[
        int, typer.Option(min=5, help="Length of the log, days; the last one tests.")
    ] = ShortVideoConfig.days,
    seed: Annotated[int, typer.Option(help="Of the generated data.")] = ShortVideoConfig.seed,
    graph_signal: Annotated[
        float, typer.Option(min=0, max=1, help="How much co-clicks tell beyond the features.")
    ] = ShortVideoConfig.graph_signal,
    goods: Annotated[
        bool, typer.Option("--goods", help="Add a second item domain whose log only feeds the graph.")
    ] = False,
    start: Annotated[
        datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")
    ] = datetime.datetime(2026, 1, 5),
) -> None:
    """Simulate policies offline: rank generated requests by each model and read off stay, skips and plays.

    Writes generated logs whose last day holds requests with the outcome of every candidate (DIR/data), compares the models on
    them (DIR/comparison, as `e2egrec compare` does, finished runs reused), and writes DIR/simulation.json and DIR/simulation.md.

    Example: e2egrec simulate --out runs/simulation --models R0,R2b,R5 --seeds 3
    """
    config = ShortVideoConfig(
        users=users,
        videos=videos,
        days=days,
        impressions=impressions,
        seed=seed,
        graph_signal=graph_signal,
        domains=("video", "goods") if goods else ("video",),
        start=start.date(),
        request_candidates=candidates,
    )
    meanings = _meanings(config, models)
    dataset, directory = _make_data(config, out / "data"), CompareDirectory(out / "comparison")
    compare(dataset, directory.root, models=models, seeds=seeds, jobs=jobs, bootstrap=bootstrap)
    _report(dataset, directory, meanings, seeds, bootstrap, out)


def _meanings(config: ShortVideoConfig, models: str) -> dict[str, str]:
    """Text of each model -> what it is; a wrong one is told of before anything is generated."""
    from tf_e2egrec.comparison.plan import compared_models, meaning_of
    from tf_e2egrec.synthetic.short_video_description import short_video_description

    description = parse_description(short_video_description(config), "the simulation")
    return {one.text: meaning_of(one.text, one) for one in compared_models(models, description)}


def _make_data(config: ShortVideoConfig, directory: Path) -> Path:
    """Write the logs, unless they are there; returns their description file.

    Raises:
      E2EGRecError: the directory holds the logs of another simulation.
    """
    from tf_e2egrec.synthetic.short_video_description import short_video_description

    dataset = directory / "dataset.yaml"
    if dataset.exists():
        if dataset.read_text(encoding="utf-8") != short_video_description(config):
            raise E2EGRecError(
                f"{directory} holds the logs of another simulation; choose another --out, or repeat the options it was made with"
            )
        console.print(f"[bold]simulated logs[/bold]  {directory} is up to date", soft_wrap=True)
        return dataset
    announce("simulated logs", "nothing", str(directory))
    return write_logs(config, directory, "simulated logs")


def _report(
    dataset: Path, directory: CompareDirectory, models: dict[str, str], seeds: int, draws: int, out: Path
) -> None:
    """Write and print what the policies earn."""
    from rich.progress import Progress

    from tf_e2egrec.comparison.simulate import SLATES, simulate_policies
    from tf_e2egrec.evaluation.simulation_report import SIMULATION_MARKDOWN, write_simulation
    from tf_e2egrec.evaluation.simulation_tables import render_simulation

    announce("simulation", str(directory.root / "predictions"), str(out / SIMULATION_MARKDOWN))
    description = load_description(dataset, None)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulation", total=len(SLATES) * draws)
        made = simulate_policies(directory, description, models, seeds, draws, lambda: progress.advance(task))
    console.print(render_simulation(write_simulation(made, out)))
