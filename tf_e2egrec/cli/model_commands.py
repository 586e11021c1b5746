"""Commands about models: train, evaluate, export."""

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.padding import Padding

from tf_e2egrec.cli.console import announce, console, say_up_to_date, working
from tf_e2egrec.cli.current import require_current_subgraphs
from tf_e2egrec.cli.options import (
    AsJson,
    Data,
    Dataset,
    Force,
    Models,
    Out,
    Run,
    Seeds,
    model_names,
    open_run,
)
from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError, read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.stages.run_directory import RunDirectory

if TYPE_CHECKING:
    from tf_e2egrec.training import ReplicaGroup


def train(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    models: Models = None,
    seeds: Seeds = 1,
    strategy: Annotated[
        Literal["none", "mirrored", "multi-worker"],
        typer.Option(
            help="Who shares each batch: one replica, the GPUs of this machine, or the processes that TF_CONFIG lists "
            "(docs/training.md)."
        ),
    ] = "none",
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN_DIR",
            help="Start from the models of the same name and seed in an earlier run: ids that both know keep what was learnt.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Train models on the subgraphs of RUN_DIR.

    An interrupted training goes on where it stopped. Writes RUN_DIR/models/MODEL/seed-N: weights, history, TensorBoard.

    Example: e2egrec train runs/demo/data/dataset.yaml --out runs/demo/run --models R0,R5 --seeds 3
    """
    description, run = open_run(dataset, out, data)
    names = model_names(models, description)
    group = None
    if strategy != "none":
        from tf_e2egrec.training import ReplicaGroup

        group = ReplicaGroup(strategy)
    subgraphs = require_current_subgraphs(description, run)
    if group is None or group.is_chief:
        run.keep_description(dataset, description.data_root)
    former = None if warm_start is None else RunDirectory(warm_start)
    train_all(description, run, subgraphs, names, seeds, force, group, former)


def evaluate(
    run_dir: Run,
    split: Annotated[
        Literal["valid", "test"],
        typer.Option(help="`valid` shows figures to choose by, and leaves the test split alone."),
    ] = "test",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate every trained model of RUN_DIR on a split, per day and overall.

    Writes report.json and report.md to RUN_DIR/evaluation, or to RUN_DIR/evaluation-valid. docs/evaluation.md says how to read them.

    Example: e2egrec evaluate runs/demo/run --split valid
    """
    if not as_json:
        evaluate_run(RunDirectory(run_dir), force, split)
        return
    with contextlib.redirect_stdout(sys.stderr):
        report = evaluate_run(RunDirectory(run_dir), force, split)
    console.print_json(json.dumps(report))


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
    kind: Annotated[
        Literal["hybrid", "table", "examples"] | None,
        typer.Option(
            help="Where neighbours come from: `hybrid` looks Z up (default of models that see a graph), `table` carries "
            "the neighbours, `examples` is sent subgraphs."
        ),
    ] = None,
    min_auc: Annotated[
        float | None, typer.Option(min=0, max=1, help="Refuse a model of a lower validation AUC.")
    ] = None,
    not_worse_than_live: Annotated[
        bool,
        typer.Option(
            "--not-worse-than-live",
            help="Refuse a model of a lower validation AUC than the newest version's.",
        ),
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, help="By how much it may be lower with --not-worse-than-live.")
    ] = 0.0,
    batching: Annotated[
        Path | None,
        typer.Option(
            help="How servers batch requests to this version; serving/model_server/batching_parameters.txt by default."
        ),
    ] = None,
) -> None:
    """Export a trained model for TensorFlow Serving, with a warm-up file.

    It is loaded by a fresh process and compared with the Python model before it appears.

    Example: e2egrec export runs/demo/run --model R5 --min-auc 0.6 --not-worse-than-live
    """
    live_tolerance = tolerance if not_worse_than_live else None
    export_run(RunDirectory(run_dir), model, seed, to, version, kind, min_auc, live_tolerance, batching)


def train_all(
    description: DatasetDescription,
    run: RunDirectory,
    subgraphs: Manifest,
    names: list[str],
    seeds: int,
    force: bool,
    group: "ReplicaGroup | None" = None,
    former: RunDirectory | None = None,
) -> None:
    """Train every model with every seed, but those that are there already; alone, or as one of a group's processes, and from scratch or
    from the models of a former run.
    """
    from tf_e2egrec.stages.previous_model import PreviousModel
    from tf_e2egrec.stages.train import remove_checkpoints, train_fingerprint, train_model

    for name in names:
        for seed in range(seeds):
            directory = run.model(name, seed)
            previous = None if former is None else PreviousModel.of(former, run, name, seed)
            fingerprint = train_fingerprint(description, name, seed, subgraphs, previous)
            if not force and _is_current(directory, fingerprint):
                say_up_to_date("train", directory)
                if group is None or group.is_chief:
                    remove_checkpoints(directory)
                continue
            announce("train", str(run.subgraphs), str(directory))
            manifest = train_model(run, description, subgraphs, name, seed, group, previous)
            console.print(
                f"  {name}: {manifest.details['meaning']}; {manifest.counters['parameters']:,} parameters, "
                f"validation AUC {manifest.details['valid_auc']:.4f}, {manifest.details['seconds']} s"
            )
            for kind, ids in manifest.details.get("warm_start", {}).items():
                if kind != "fingerprint":
                    console.print(
                        f"    {kind} ids: {ids['kept']:,} kept, {ids['new']:,} new, {ids['forgotten']:,} forgotten"
                    )
            parts = {name: count for name, count in manifest.details["parameters"].items() if name != "total"}
            sizes = ", ".join(f"{part} {count:,}" for part, count in parts.items())
            console.print(Padding(f"parameters: {sizes}", (0, 0, 0, 4), expand=False))


def evaluate_run(run: RunDirectory, force: bool, split: Literal["valid", "test"] = "test") -> dict[str, Any]:
    """Run the evaluate stage, unless its output is up to date, and print its tables; returns the report as JSON has it."""
    from tf_e2egrec.evaluation.report import as_json, render_report
    from tf_e2egrec.stages.evaluate import current_report, evaluate_models, evaluation_directory

    directory = evaluation_directory(run, split)
    report = None if force else current_report(run, split)
    if report is not None:
        say_up_to_date("evaluate", directory)
    else:
        which = "validation" if split == "valid" else split
        announce("evaluate", f"{run.models} and the {which} split of {run.subgraphs}", str(directory))
        report = evaluate_models(run, split)
    if split == "valid":
        console.print("Figures of the validation split: to choose by, never to report.")
    console.print(render_report(report))
    found: dict[str, Any] = as_json(report)
    return found


def export_run(
    run: RunDirectory,
    model: str,
    seed: int,
    to: Path | None = None,
    version: int | None = None,
    kind: str | None = None,
    min_auc: float | None = None,
    live_tolerance: float | None = None,
    batching: Path | None = None,
) -> Path:
    """Run the export stage; returns the version's directory."""
    from serving.rollout.version_files import add_batching_parameters
    from serving.warmup import WARMUP_FILE, write_warmup_requests
    from tf_e2egrec.models.variant import variant_named
    from tf_e2egrec.stages.export import ExportOptions, Prepared, export_model
    from tf_e2egrec.stages.export_warmup import warmup_requests

    variant_named(model)
    base = to if to is not None else run.exports / model
    announce("export", str(run.model(model, seed)), str(base))

    def add_files(directory: Path, prepared: Prepared) -> None:
        add_batching_parameters(directory, batching)
        write_warmup_requests(directory / WARMUP_FILE, base.name, warmup_requests(prepared))

    with working("export"):
        options = ExportOptions(version, kind, min_auc, live_tolerance, finish=add_files)
        target = export_model(run, model, seed, base, options)
    console.print(f"  wrote {target}; next: e2egrec serve {base}", soft_wrap=True)
    return target


def export_newest(run: RunDirectory, model: str, force: bool) -> Path:
    """Export the first seed of a model, unless its newest version is of the same weights; returns the version's
    directory.
    """
    from tf_e2egrec.stages.export import current_export

    found = None if force else current_export(run, model, seed=0)
    if found is None:
        return export_run(run, model, seed=0)
    say_up_to_date("export", found)
    return found


def _is_current(directory: Path, fingerprint: str) -> bool:
    try:
        return read_manifest(directory, "train", "e2egrec train").fingerprint == fingerprint
    except StaleArtefactError:
        return False
