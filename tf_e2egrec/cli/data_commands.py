"""Commands that make data: synthesize, swing, subgraphs."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.cli.console import announce, console, show_counters
from tf_e2egrec.cli.options import Data, Dataset, Out, open_run
from tf_e2egrec.dataset.artefact import Manifest, read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.stages.run_directory import RunDirectory


def synthesize(
    directory: Annotated[
        Path, typer.Argument(help="Where to write logs, tables and dataset.yaml; must not exist.")
    ],
    impressions: Annotated[int, typer.Option(min=1000, help="Rows of the video log.")] = 300_000,
    users: Annotated[int, typer.Option(min=10)] = 8_000,
    videos: Annotated[int, typer.Option(min=10)] = 3_000,
    days: Annotated[int, typer.Option(min=5)] = 14,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
    graph_signal: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How much co-clicks tell beyond the features; 0: nothing, a graph cannot help."
        ),
    ] = 1.0,
    goods: Annotated[
        bool, typer.Option("--goods", help="Add a second item domain whose log only feeds the graph.")
    ] = False,
    start: Annotated[str, typer.Option(help="First day.")] = "2026-01-05",
) -> None:
    """Write short-video logs with a description file that is ready to run.

    Example: e2egrec synthesize demo-data && e2egrec run demo-data/dataset.yaml --out runs/demo
    """
    from rich.progress import Progress

    from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

    config = ShortVideoConfig(
        users=users,
        videos=videos,
        days=days,
        impressions=impressions,
        seed=seed,
        graph_signal=graph_signal,
        domains=("video", "goods") if goods else ("video",),
        start=datetime.date.fromisoformat(start),
    )
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("synthesize", total=None)
        written = write_short_video(
            config, directory, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
    console.print(
        f"wrote {written.parent}; next: e2egrec run {written} --out runs/{directory.name}", soft_wrap=True
    )


def swing(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    beam: Annotated[str, typer.Option(help="Beam options.")] = "",
) -> None:
    """Compute Swing item-item edges, one set per graph snapshot, with a Beam pipeline."""
    description, run = open_run(dataset, out, data)
    make_graph(description, run, beam)


def subgraphs(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    beam: Annotated[str, typer.Option(help="Beam options.")] = "",
) -> None:
    """Write every impression's sampled subgraph as a GraphTensor, with a Beam pipeline."""
    description, run = open_run(dataset, out, data)
    make_subgraphs(description, run, beam)


def make_graph(description: DatasetDescription, run: RunDirectory, beam: str = "") -> Manifest:
    """Run the swing stage."""
    from beam_pipelines.swing import run_swing

    announce("swing", f"the logs of {description.name}", str(run.graph))
    manifest = run_swing(description, run.graph, beam.split())
    show_counters("swing", manifest.counters)
    return manifest


def make_subgraphs(description: DatasetDescription, run: RunDirectory, beam: str = "") -> Manifest:
    """Run the subgraphs stage."""
    from beam_pipelines.subgraphs import run_subgraphs

    read_manifest(run.graph, "swing", "e2egrec swing")
    announce("subgraphs", f"{run.graph} and the logs of {description.name}", str(run.subgraphs))
    manifest = run_subgraphs(description, run.graph, run.subgraphs, beam.split())
    show_counters("subgraphs", manifest.counters)
    return manifest
