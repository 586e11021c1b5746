"""The export stage: a trained model out as a SavedModel that TensorFlow Serving loads."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    read_manifest,
    require_match,
    write_manifest,
)
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.kinds import chosen_kind
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.servable import save_servable
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.damaged_files import load_keras_model
from tf_e2egrec.stages.export_canary import Call, require_sound
from tf_e2egrec.stages.export_gates import require_good_enough, versions_in
from tf_e2egrec.stages.export_manifest import export_fingerprint, export_manifest
from tf_e2egrec.stages.export_sample import ExportSample
from tf_e2egrec.stages.export_staging import export_staging
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import MODEL_FILE, read_subgraphs_manifest
from tf_e2egrec.subgraphs.graph_schema import LABELS

Finish = Callable[[Path, "Prepared"], None]


class Prepared(NamedTuple):
    """A model about to be exported.

    Attributes:
      module: what is saved.
      calls: real requests to its signatures, with the Python model's answers.
    """

    module: RankingModule
    calls: list[Call]


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
      version: integer directory name; one more than the newest when absent.
      kind: `hybrid`, `table` or `examples`; `hybrid` where the model sees a graph when absent, else `table`.
      min_auc: refuse a model of a lower validation AUC.
      live_tolerance: refuse a model whose validation AUC is lower than the newest version's by more than this.
      finish: called with the directory before it is tried, to add what servers want beside the model (warm-up
        requests).
    """

    version: int | None = None
    kind: str | None = None
    min_auc: float | None = None
    live_tolerance: float | None = None
    finish: Finish | None = None


def export_model(
    run: RunDirectory, model: str, seed: int, to: Path, options: ExportOptions | None = None
) -> Path:
    """Write TO/<version>: SavedModel, manifest and everything a server needs, aside first, tried by a process that has none
    of this project's code, and then renamed into place.

    Args:
      run: the run directory.
      model, seed: which trained model.
      to: the model's base path; the server polls it for new versions.
      options: how.

    Returns:
      The version's directory.

    Raises:
      E2EGRecError: the model is not there, belongs to other subgraphs or is not good enough; the version exists; the
        export does not load, or does not answer as the Python model does. Nothing is published then.
    """
    options = options or ExportOptions()
    description = run.description()
    subgraphs = read_subgraphs_manifest(run, description)
    directory = run.model(model, seed)
    trained = read_trained(run, model, seed, subgraphs)
    version = options.version if options.version is not None else _next_version(to)
    target = to / str(version)
    if target.exists():
        raise E2EGRecError(f"{target} exists already; choose another --version or leave it out")
    require_good_enough(trained.details.get("valid_auc"), to, options.min_auc, options.live_tolerance)
    tf.keras.utils.set_random_seed(seed)  # the generators of dropout layers are saved with the weights
    # Not compiled: the optimisers' slots would be exported, too, and are as large as the model.
    network = load_keras_model(directory / MODEL_FILE, "e2egrec train --force", compile=False)
    prepared = prepare(run, description, subgraphs, network, options.kind)
    with export_staging(to) as staging:
        made = staging / str(version)
        save_servable(prepared.module, prepared.module.signatures(), made)
        if options.finish is not None:
            options.finish(made, prepared)
        tried = require_sound(made, prepared.calls, _label_names(description))
        kind = prepared.module.kind
        write_manifest(made / "assets.extra", export_manifest(trained, description, directory, kind, tried))
        made.replace(target)
    return target


def current_export(run: RunDirectory, model: str, seed: int) -> Path | None:
    """The newest version in RUN_DIR/export/<model>, or None where it is missing or holds other weights.

    Raises:
      E2EGRecError: as `export_model`.
    """
    trained = read_trained(run, model, seed, read_subgraphs_manifest(run, run.description()))
    newest = run.exports / model / str(_next_version(run.exports / model) - 1)
    try:
        manifest = read_manifest(newest / "assets.extra", "export", "e2egrec export")
        kind = str(manifest.configuration.get("kind"))  # which is the caller's affair
        require_match(manifest, export_fingerprint(trained, kind), newest, "e2egrec export")
    except StaleArtefactError:
        return None
    return newest


def read_trained(run: RunDirectory, model: str, seed: int, subgraphs: Manifest) -> Manifest:
    """The manifest of a trained model.

    Raises:
      E2EGRecError: it is not there, or was made from other subgraphs or another graph than the run's.
    """
    directory = run.model(model, seed)
    trained = read_manifest(directory, "train", f"e2egrec train --models {model} --seeds {seed + 1}")
    if trained.upstream != subgraphs.fingerprint:
        raise E2EGRecError(
            f"{directory} was trained on other subgraphs than those in {run.subgraphs}; run `e2egrec train` again"
        )
    if read_manifest(run.graph, "swing", "e2egrec swing").fingerprint != subgraphs.upstream:
        raise E2EGRecError(
            f"{run.subgraphs} was made from another graph than {run.graph} is now; run `e2egrec subgraphs` again"
        )
    return trained


def prepare(
    run: RunDirectory,
    description: DatasetDescription,
    subgraphs: Manifest,
    model: E2EGRec,
    kind: str | None = None,
) -> Prepared:
    """The exportable module of a trained model, with the newest snapshot's neighbours, and requests to try it with.

    Raises:
      E2EGRecError: the model cannot be exported so.
    """
    chosen = chosen_kind(kind, model)
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    snapshot = newest_snapshot(run, description)
    neighbours = NeighbourTable.load(run.graph, snapshot).truncate(description.graph.sampling.top)
    graph = ServingGraph(description, items, users, neighbours)
    strings = frozenset(subgraphs.details.get("string_columns", []))
    module = RankingModule(model, graph, description, strings, chosen)
    reference = RankingModule(model, graph, description, strings, "graph")
    sample = ExportSample(run.subgraphs, description, items, users, strings)
    return Prepared(module, sample.calls(module, reference, graph))


def _label_names(description: DatasetDescription) -> list[str]:
    """What no input of a signature may be called."""
    return [*LABELS, description.ranker.reward]


def newest_snapshot(run: RunDirectory, description: DatasetDescription) -> int:
    """The snapshot that may see every event of the logs: what serving starts from."""
    graph = read_manifest(run.graph, "swing", "e2egrec swing")
    plan = SnapshotPlan.from_description(description)
    newest = graph.details.get("newest_event_time", graph.newest_edge_time)
    if newest is None:
        return 0
    return plan.latest(int(newest))


def _next_version(to: Path) -> int:
    return max(versions_in(to), default=0) + 1
