"""Commands about models: train, evaluate, export."""

from pathlib import Path
from typing import Annotated

import typer

from tf_e2egrec.cli.console import announce, console
from tf_e2egrec.cli.current import require_current_subgraphs
from tf_e2egrec.cli.options import Data, Dataset, Force, Models, Out, Run, Seeds, model_names, open_run
from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError, read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.stages.run_directory import RunDirectory


def train(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    models: Models = None,
    seeds: Seeds = 1,
    force: Force = False,
) -> None:
    """Train models on the subgraphs of RUN_DIR."""
    description, run = open_run(dataset, out, data)
    names = model_names(models, description)
    train_all(description, run, require_current_subgraphs(description, run), names, seeds, force)


def evaluate(run_dir: Run) -> None:
    """Evaluate every trained model of RUN_DIR on the test split, per day and overall; writes report.json and
    report.md.
    """
    run = RunDirectory(run_dir)
    evaluate_run(run)


def export(
    run_dir: Run,
    model: Annotated[str, typer.Option(help="Which model.")] = "R5",
    seed: Annotated[int, typer.Option(help="Which seed.")] = 0,
    to: Annotated[
        Path | None, typer.Option(help="The model's base path; RUN_DIR/export/MODEL by default.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Version number; the next one by default.")
    ] = None,
) -> None:
    """Export a trained model for TensorFlow Serving, with a warm-up file."""
    export_run(RunDirectory(run_dir), model, seed, to, version)


def train_all(
    description: DatasetDescription,
    run: RunDirectory,
    subgraphs: Manifest,
    names: list[str],
    seeds: int,
    force: bool,
) -> None:
    """Train every model with every seed, but those that are there already."""
    from tf_e2egrec.stages.train import train_fingerprint, train_model

    for name in names:
        for seed in range(seeds):
            directory = run.model(name, seed)
            if not force and _is_current(directory, train_fingerprint(description, name, seed, subgraphs)):
                console.print(f"train  {directory} is up to date (--force trains it again)", soft_wrap=True)
                continue
            announce("train", str(run.subgraphs), str(directory))
            manifest = train_model(run, description, subgraphs, name, seed)
            console.print(
                f"  {name}: {manifest.details['meaning']}; {manifest.counters['parameters']:,} parameters, "
                f"validation AUC {manifest.details['valid_auc']:.4f}, {manifest.details['seconds']} s"
            )


def evaluate_run(run: RunDirectory) -> None:
    """Run the evaluate stage and print its tables."""
    from tf_e2egrec.evaluation.report import render_report
    from tf_e2egrec.stages.evaluate import evaluate_models

    announce("evaluate", f"{run.models} and the test split of {run.subgraphs}", str(run.evaluation))
    console.print(render_report(evaluate_models(run)))


def export_run(
    run: RunDirectory, model: str, seed: int, to: Path | None = None, version: int | None = None
) -> Path:
    """Run the export stage; returns the version's directory."""
    from serving.warmup import WARMUP_FILE, write_warmup
    from tf_e2egrec.stages.export import export_model, warmup_batches

    base = to if to is not None else run.exports / model
    announce("export", str(run.model(model, seed)), str(base))

    def add_warmup(directory: Path, module: object) -> None:
        write_warmup(directory / WARMUP_FILE, base.name, "rank", warmup_batches(module))  # type: ignore[arg-type]

    target = export_model(run, model, seed, base, version, finish=add_warmup)
    console.print(f"  wrote {target}; next: e2egrec serve {base}", soft_wrap=True)
    return target


def _is_current(directory: Path, fingerprint: str) -> bool:
    try:
        return read_manifest(directory, "train", "e2egrec train").fingerprint == fingerprint
    except StaleArtefactError:
        return False
