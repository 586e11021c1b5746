"""Training one retrieval model: a split in, vectors and what they are worth out."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    fingerprint_of,
    publish,
    read_manifest,
    write_manifest,
)
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.retrieval.catalogue import compiled_recommender, meaning_of, settings_of
from tf_e2egrec.retrieval.discrepancy import embedding_discrepancy
from tf_e2egrec.retrieval.epochs import steps_per_epoch, training_batches
from tf_e2egrec.retrieval.full_ranking import evaluate_ranking
from tf_e2egrec.retrieval.ranking_early_stopping import RankingEarlyStopping
from tf_e2egrec.retrieval.ranking_validation import RankingValidation
from tf_e2egrec.retrieval.recommender import Recommender
from tf_e2egrec.retrieval.splits import RetrievalSplit
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph
from tf_e2egrec.training import Checkpoints
from tf_e2egrec.training.training_progress import TrainingProgress

STAGE = "recommend"
VECTORS_FILE = "vectors.npz"
HISTORY_FILE = "history.json"
_CHECKPOINT_STEPS = 500


def model_directory(root: Path, model: str, seed: int) -> Path:
    """Where a trained model is, or will be."""
    return root / "models" / model / f"seed-{seed}"


def split_fingerprint(split: RetrievalSplit) -> str:
    """A hash of users, items and the three matrices."""
    digest = hashlib.sha256()
    arrays = [split.user_keys, split.item_keys]
    arrays += [
        array
        for matrix in (split.train, split.valid, split.test)
        for array in (matrix.indptr, matrix.indices)
    ]
    for array in arrays:
        digest.update(np.ascontiguousarray(array, np.int64).tobytes() + b"|")
    return digest.hexdigest()[:16]


def configuration_of(description: DatasetDescription, model: str, seed: int) -> dict[str, Any]:
    """The part of the description that a trained model depends on, beyond its split."""
    spec = description.recommend
    convolution = spec.lightgcn.convolution if model == "mf-conv" else {}
    return {
        "model": model,
        "seed": seed,
        "dim": spec.dim,
        "initial_std": spec.initial_std,
        "top": spec.top,
        **convolution,
        **settings_of(model, spec).model_dump(mode="json"),
    }


def finished_model(
    directory: Path, description: DatasetDescription, data: str, model: str, seed: int
) -> Manifest | None:
    """The manifest of a model that is up to date; None where it has to be trained.

    Args:
      directory: see `model_directory`.
      description: how it is trained.
      data: see `split_fingerprint`.
      model, seed: which.
    """
    try:
        manifest = read_manifest(directory, STAGE, "e2egrec recommend")
    except StaleArtefactError:
        return None
    expected = fingerprint_of(STAGE, configuration_of(description, model, seed), data)
    return manifest if manifest.fingerprint == expected else None


def train_recommender(
    directory: Path,
    description: DatasetDescription,
    split: RetrievalSplit,
    graph: UserItemGraph,
    model: str,
    seed: int,
    console: Console,
) -> Manifest:
    """Train a model, rank all items for the tested users, and publish `directory`; an interrupted training goes on.

    With validation pairs, the epoch of best validation NDCG counts, and the training stops without a better one. Without,
    all epochs are trained and the last counts; the measurements on the way are of the tested pairs and choose nothing.

    Args:
      directory: what appears when all is done: manifest, vectors and embeddings, history.
      description: `recommend` says how.
      split: the data.
      graph: of its training pairs.
      model: one of `KINDS`.
      seed: of first embeddings, order and negatives.
      console: shows the progress.

    Returns:
      The manifest; its details hold the metrics and the times.
    """
    spec, settings = description.recommend, settings_of(model, description.recommend)
    configuration, data = configuration_of(description, model, seed), split_fingerprint(split)
    fingerprint = fingerprint_of(STAGE, configuration, data)
    steps = steps_per_epoch(split.train, settings.batch_size)
    network = compiled_recommender(model, graph, spec, seed)
    has_validation = split.valid.nnz > 0
    known = split.train + split.valid
    validation = RankingValidation(
        split.train, split.valid if has_validation else split.test, spec.top, settings.evaluate_every
    )
    monitor = f"ndcg@{max(spec.top)}"
    stopping = [RankingEarlyStopping(f"val_{monitor}", settings.patience)] if has_validation else []
    checkpoints = Checkpoints(
        directory.with_name(f".{directory.name}.checkpoint"),
        fingerprint,
        _CHECKPOINT_STEPS,
        [validation, *stopping],
    )
    with checkpoints, publish(directory) as staging:
        network.fit(
            training_batches(split.train, settings.batch_size, seed, settings.epochs, checkpoints.start),
            epochs=settings.epochs,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=[
                checkpoints, validation, *stopping,
                TrainingProgress(f"{model} seed {seed}", steps, f"val_{monitor}", monitor, console),
            ],
        )  # fmt: skip
        users, items = network.vectors()
        test = evaluate_ranking(users, items, known, split.test, spec.top)
        best = _best_measurement(validation.measured, monitor if has_validation else "epoch")
        _write_vectors(staging / VECTORS_FILE, network, split)
        history = {"measured_on": "valid" if has_validation else "test", "measured": validation.measured}
        (staging / HISTORY_FILE).write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
        last = validation.measured[-1]
        manifest = Manifest(
            stage=STAGE,
            configuration=configuration,
            fingerprint=fingerprint,
            inputs=data,
            counters={
                "parameters": int(network.embeddings.shape.num_elements()),
                "epochs": int(last["epoch"]),
                "steps_per_epoch": steps,
            },
            details={
                "meaning": meaning_of(model, spec),
                "test": test,
                "chosen": best,
                "seconds": last["seconds"],
                "cpu_seconds": last["cpu_seconds"],
                "discrepancy": embedding_discrepancy(graph, tf.convert_to_tensor(network.embeddings)),
            },
        )
        write_manifest(staging, manifest)
    return manifest


def _best_measurement(measured: list[dict[str, float]], by: str) -> dict[str, float]:
    return max(measured, key=lambda one: one[by])


def _write_vectors(path: Path, network: Recommender, split: RetrievalSplit) -> None:
    users, items = network.vectors()
    np.savez(
        path,
        user_keys=split.user_keys,
        item_keys=split.item_keys,
        users=users.numpy(),
        items=items.numpy(),
        history=network.history_vectors().numpy(),
        embeddings=network.embeddings.numpy(),
    )
