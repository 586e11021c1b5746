"""Commands that make data: synthesize, swing, subgraphs, refresh."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.cli.console import announce, console, say_up_to_date, show_counters
from tf_e2egrec.cli.current import (
    current,
    require_current_graph,
    require_current_subgraphs,
    require_same_data,
)
from tf_e2egrec.cli.options import Beam, Data, Dataset, Force, Out, beam_arguments, open_run
from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig


def synthesize(
    directory: Annotated[
        Path, typer.Argument(help="Where to write logs, tables and dataset.yaml; must not exist.")
    ],
    impressions: Annotated[int, typer.Option(min=1000, help="Rows of the video log.")] = 300_000,
    users: Annotated[int, typer.Option(min=10, help="How many.")] = 8_000,
    videos: Annotated[int, typer.Option(min=50, help="How many.")] = 3_000,
    days: Annotated[int, typer.Option(min=5, help="Length of the log, days; the last two test.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
    graph_signal: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How much co-clicks tell beyond the features; 0: nothing, a graph cannot help."
        ),
    ] = 1.0,
    taste: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="How far interests decide on clicks; 0: a co-click tells an item's appeal alone.",
        ),
    ] = 1.0,
    goods: Annotated[
        bool, typer.Option("--goods", help="Add a second item domain whose log only feeds the graph.")
    ] = False,
    label_share: Annotated[
        float,
        typer.Option(
            max=1,
            help="Share of the users whose rows train and test the ranker; the others only feed the graph.",
        ),
    ] = 1.0,
    start: Annotated[
        datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")
    ] = datetime.datetime(2026, 1, 5),
) -> None:
    """Write short-video logs with a description file that is ready to run.

    Example: e2egrec synthesize runs/demo/data && e2egrec run runs/demo/data/dataset.yaml --out runs/demo/run
    """
    config = ShortVideoConfig(
        users=users,
        videos=videos,
        days=days,
        impressions=impressions,
        seed=seed,
        graph_signal=graph_signal,
        taste=taste,
        domains=("video", "goods") if goods else ("video",),
        start=start.date(),
        label_share=label_share,
    )
    written = write_logs(config, directory, "synthesize")
    console.print(
        f"wrote {written.parent}; next: e2egrec run {written} --out runs/{directory.name}", soft_wrap=True
    )


def write_logs(config: ShortVideoConfig, directory: Path, title: str) -> Path:
    """Write generated logs under a progress bar of that title; returns their description file."""
    from rich.progress import Progress

    from tf_e2egrec.synthetic.short_video import write_short_video

    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        return write_short_video(
            config, directory, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )


def swing(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    beam: Beam = "",
    force: Force = False,
) -> None:
    """Compute Swing item-item edges, one set per graph snapshot, with a Beam pipeline.

    Writes RUN_DIR/graph, and prints how many rows were read, left out and linked.

    Example: e2egrec swing runs/demo/data/dataset.yaml --out runs/demo/run --beam "--swing_shards=4"
    """
    description, run = open_run(dataset, out, data)
    make_graph(description, run, beam_arguments(beam), force)
    run.keep_description(dataset, description.data_root)


def subgraphs(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    beam: Beam = "",
    force: Force = False,
) -> None:
    """Write every impression's sampled subgraph as a GraphTensor, with a Beam pipeline.

    Reads RUN_DIR/graph (`e2egrec swing`) and the logs; writes RUN_DIR/subgraphs.

    Example: e2egrec subgraphs runs/demo/data/dataset.yaml --out runs/demo/run
    """
    description, run = open_run(dataset, out, data)
    make_subgraphs(description, run, beam_arguments(beam), force)
    run.keep_description(dataset, description.data_root)


def refresh(dataset: Dataset, out: Out, data: Data = None, beam: Beam = "") -> None:
    """Bring graph and subgraphs up to date with new rows, making again only what they change.

    Only `split` and the `paths` of the description may have changed. What stood there stays until the new artefacts are complete.

    Example: e2egrec refresh runs/demo/data/dataset.yaml --out runs/demo/run
    """
    from beam_pipelines.progress import live_progress
    from beam_pipelines.refresh import run_refresh, sentence

    description, run = load_description(dataset, data), RunDirectory(out)
    announce("refresh", f"the logs of {description.name}", f"{run.graph} and {run.subgraphs}")
    with live_progress("refresh", console):
        refreshed = run_refresh(description, run.root, beam_arguments(beam))
    run.keep_description(dataset, description.data_root)
    if refreshed.is_new:
        show_counters(refreshed.graph.counters)
        show_counters(refreshed.subgraphs.counters)
    console.print(sentence(refreshed, str(out)), soft_wrap=True)


def make_graph(
    description: DatasetDescription, run: RunDirectory, beam_args: Sequence[str], force: bool
) -> Manifest:
    """Run the swing stage, unless its output is up to date.

    Raises:
      E2EGRecError: the output was made from other data, and `force` is not given.
    """
    from beam_pipelines.progress import live_progress
    from beam_pipelines.swing import run_swing

    if not force:
        manifest = current(require_current_graph, description, run)
        if manifest is not None:
            say_up_to_date("swing", run.graph)
            return manifest
        require_same_data(description, run)
    announce("swing", f"the logs of {description.name}", str(run.graph))
    with live_progress("swing", console):
        manifest = run_swing(description, run.graph, beam_args)
    show_counters(manifest.counters)
    return manifest


def make_subgraphs(
    description: DatasetDescription, run: RunDirectory, beam_args: Sequence[str], force: bool
) -> Manifest:
    """Run the subgraphs stage, unless its output is up to date.

    Raises:
      E2EGRecError: the graph is missing, or was made by another description or from other data.
    """
    from beam_pipelines.progress import live_progress
    from beam_pipelines.subgraphs import run_subgraphs

    manifest = None if force else current(require_current_subgraphs, description, run)
    if manifest is not None:
        say_up_to_date("subgraphs", run.subgraphs)
        return manifest
    require_current_graph(description, run)
    announce("subgraphs", f"{run.graph} and the logs of {description.name}", str(run.subgraphs))
    with live_progress("subgraphs", console):
        manifest = run_subgraphs(description, run.graph, run.subgraphs, beam_args)
    show_counters(manifest.counters)
    return manifest
