"""The export stage: a trained model out as a SavedModel that TensorFlow Serving loads."""

import contextlib
import logging
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    fingerprint_of,
    read_manifest,
    require_match,
    write_manifest,
)
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, read_subgraphs_manifest

WARMUP_CANDIDATES = (1, 100, 500)


Finish = Callable[[Path, RankingModule], None]


def export_model(
    run: RunDirectory,
    model: str,
    seed: int,
    to: Path,
    version: int | None = None,
    finish: Finish | None = None,
) -> Path:
    """Write TO/<version>: SavedModel, manifest and everything a server needs, aside first and then renamed
    into place.

    Args:
      run: the run directory.
      model, seed: which trained model.
      to: the model's base path; the server polls it for new versions.
      version: integer directory name; one more than the newest when absent.
      finish: called with the directory before it appears, to add what servers want beside the model (warm-up
        requests).

    Returns:
      The version's directory.

    Raises:
      E2EGRecError: the model is not there, belongs to other subgraphs, or the version exists.
    """
    description = run.description()
    subgraphs = read_subgraphs_manifest(run, description)
    directory = run.model(model, seed)
    trained = _read_trained(run, model, seed, subgraphs)
    target = to / str(version if version is not None else _next_version(to))
    if target.exists():
        raise E2EGRecError(f"{target} exists already; choose another --version or leave it out")
    module = ranking_module(run, description, subgraphs, directory)
    to.mkdir(parents=True, exist_ok=True)
    staging = to / f".staging-{uuid.uuid4().hex[:8]}"  # not an integer: the server does not look at it
    try:
        with _without_notices():
            tf.saved_model.save(module, str(staging), signatures=module.signatures())
        (staging / "assets.extra").mkdir(exist_ok=True)
        if finish is not None:
            finish(staging, module)
        write_manifest(
            staging / "assets.extra",
            Manifest(
                stage="export",
                configuration={"model": model, "seed": seed, "dataset": description.name},
                fingerprint=_fingerprint(trained),
                inputs=trained.inputs,
                upstream=trained.fingerprint,
                newest_edge_time=trained.newest_edge_time,
                details={"valid_auc": trained.details.get("valid_auc"), "regime": description.graph.regime},
            ),
        )
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    staging.replace(target)
    return target


def current_export(run: RunDirectory, model: str, seed: int) -> Path | None:
    """The newest version in RUN_DIR/export/<model>, or None where it is missing or holds other weights.

    Raises:
      E2EGRecError: as `export_model`.
    """
    trained = _read_trained(run, model, seed, read_subgraphs_manifest(run, run.description()))
    newest = run.exports / model / str(_next_version(run.exports / model) - 1)
    try:
        manifest = read_manifest(newest / "assets.extra", "export", "e2egrec export")
        require_match(manifest, _fingerprint(trained), newest, "e2egrec export")
    except StaleArtefactError:
        return None
    return newest


def _read_trained(run: RunDirectory, model: str, seed: int, subgraphs: Manifest) -> Manifest:
    """The manifest of a trained model, which must be of these subgraphs and this graph."""
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


def _fingerprint(trained: Manifest) -> str:
    return fingerprint_of("export", trained.fingerprint)


def ranking_module(
    run: RunDirectory, description: DatasetDescription, subgraphs: Manifest, directory: Path
) -> RankingModule:
    """The exportable module of a trained model, with the newest snapshot's neighbours."""
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    snapshot = newest_snapshot(run, description)
    neighbours = NeighbourTable.load(run.graph, snapshot).truncate(description.graph.sampling.top)
    graph = ServingGraph(description, items, users, neighbours)
    strings = frozenset(subgraphs.details.get("string_columns", []))
    return RankingModule(load_model(directory), graph, description, strings)


def newest_snapshot(run: RunDirectory, description: DatasetDescription) -> int:
    """The snapshot that may see every event of the logs: what serving starts from."""
    graph = read_manifest(run.graph, "swing", "e2egrec swing")
    plan = SnapshotPlan.from_description(description)
    newest = graph.details.get("newest_event_time", graph.newest_edge_time)
    if newest is None:
        return 0
    return plan.latest(int(newest))


def warmup_batches(module: RankingModule) -> list[dict[str, np.ndarray]]:
    """One `rank` request per candidate-list length, of unknown ids: a server compiles its kernels on them
    before it takes traffic.
    """
    batches = []
    for length in WARMUP_CANDIDATES:
        batch = {}
        for name, spec in module.rank_inputs().items():
            shape = {"candidates": (1, length), "recent": (1, 20)}.get(name, (1,))
            batch[name] = np.full(
                shape,
                b"" if spec.dtype == tf.string else 0,
                dtype=object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype,
            )
        batch["num_candidates"][:] = length
        batch["num_recent"][:] = 20
        batches.append(batch)
    return batches


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Leave out two remarks about objects that a server never restores: GraphTensor specs, and layers that no
    signature calls.
    """

    def is_no_remark(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Skipping full serialization of")

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_no_remark)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Encoding a StructuredValue with type")
            yield
    finally:
        logger.removeFilter(is_no_remark)


def _next_version(to: Path) -> int:
    versions = [int(path.name) for path in to.glob("*") if path.name.isdigit()] if to.exists() else []
    return max(versions, default=0) + 1
