"""The train stage: subgraphs in, a trained model out."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console
from rich.status import Status

from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    fingerprint_of,
    read_manifest,
    write_manifest,
)
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models import E2EGRec, ModelInputs, Variant, parameter_counts, variant_named
from tf_e2egrec.models.variant import require_edges
from tf_e2egrec.stages.adaptation import adapt_model, collect_statistics
from tf_e2egrec.stages.damaged_files import load_keras_model, naming_damaged_records, require_whole_files
from tf_e2egrec.stages.pretrain import pretrain_graph
from tf_e2egrec.stages.previous_model import PreviousModel
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.training_data import TrainingData
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.subgraphs.subgraph_dataset import record_files
from tf_e2egrec.training import (
    Checkpoints,
    Diagnostics,
    FusedAdam,
    GradNorm,
    LossGuard,
    ReplicaGroup,
    RowSparseAdam,
)
from tf_e2egrec.training.training_progress import TrainingProgress

MODEL_FILE = "model.keras"
_CHECKPOINT_STEPS = 500


def train_configuration(description: DatasetDescription, model: str, seed: int) -> dict[str, Any]:
    """The part of the description that a trained model depends on, beyond its subgraphs."""
    # A model that was finished is the same whatever number of bad batches was allowed.
    training = description.training.model_dump(mode="json", exclude={"models", "skip_bad_batches"})
    return {
        "model": model,
        "seed": seed,
        "variant": variant_named(model).model_dump(mode="json"),
        "architecture": description.model.model_dump(mode="json"),
        "training": training,
        "protocol": description.evaluation.protocol,
    }


def train_fingerprint(
    description: DatasetDescription,
    model: str,
    seed: int,
    subgraphs: Manifest,
    previous: PreviousModel | None = None,
) -> str:
    """The fingerprint a model has that was trained by this description on these subgraphs, from scratch or from another model."""
    start = () if previous is None else (previous.fingerprint,)
    configuration = train_configuration(description, model, seed)
    return fingerprint_of("train", configuration, subgraphs.fingerprint, *start)


def train_model(
    run: RunDirectory,
    description: DatasetDescription,
    subgraphs: Manifest,
    model: str,
    seed: int,
    group: ReplicaGroup | None = None,
    previous: PreviousModel | None = None,
) -> Manifest:
    """Train one model and write RUN_DIR/models/<model>/seed-<seed>; an interrupted training goes on where it stopped.

    Args:
      run: where the subgraphs are.
      description: how to train.
      subgraphs: the manifest of RUN_DIR/subgraphs.
      model: name of a variant (`R0`, `R5`, ...).
      seed: of weights and shuffling.
      group: the replicas that train it together, each of whose processes calls this; one when absent.
      previous: the model that it starts from; it starts from scratch when absent.

    Returns:
      The manifest of the trained model.

    Raises:
      E2EGRecError: the model needs another graph, a file is damaged, the loss is not finite (`LossGuard`), another worker is lost, or
        several replicas are to train a cascade.
    """
    group = ReplicaGroup() if group is None else group
    require_edges(model, description.graph.edges)
    if group.strategy is not None and variant_named(model).is_cascade:
        raise E2EGRecError(
            f"{model} pretrains a graph neural network, which is done by one replica; train it with `--strategy none`"
        )
    if group.replicas > 1 and description.training.skip_bad_batches:
        raise E2EGRecError(
            "one replica alone can leave out batches; set `training.skip_bad_batches` to 0, or train with `--strategy none`"
        )
    require_whole_files(run.subgraphs, subgraphs, ("train", "valid"))
    with naming_damaged_records(run.subgraphs), group.naming_lost_workers():
        return _train(run, description, subgraphs, model, seed, group, previous)


def _train(
    run: RunDirectory,
    description: DatasetDescription,
    subgraphs: Manifest,
    model: str,
    seed: int,
    group: ReplicaGroup,
    previous: PreviousModel | None,
) -> Manifest:
    variant = variant_named(model)
    tf.keras.utils.set_random_seed(seed)
    started = time.monotonic()
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    network = new_network(run, description, model, items, users, group)
    spec = description.training
    tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)
    data = TrainingData(run.subgraphs, description, subgraphs, tables, seed, group)
    parameters = parameter_counts(network)
    fingerprint = train_fingerprint(description, model, seed, subgraphs, previous)
    target = run.model(model, seed)
    checkpoints = _open_checkpoints(group, _checkpoint_directory(target), fingerprint)
    label = f"{model} seed {seed}"
    if checkpoints.start == (0, 0):
        with group.scope():
            checkpoints.note = _handed_over(network, previous, {"item": items, "user": users}, run.graph)
        checkpoints.note |= _pretraining(network, description, data)
    with checkpoints, group.published(target) as staging:
        events = (checkpoints.directory if group.is_chief else staging) / "tensorboard"
        history = network.fit(
            data.for_fit(checkpoints.start),
            validation_data=data.for_validation(),
            validation_steps=data.validation_steps,
            epochs=spec.epochs,
            steps_per_epoch=data.steps,
            verbose=0,
            callbacks=[
                _guard(label, data, spec.skip_bad_batches, checkpoints),
                *_callbacks(description, variant, label, data, checkpoints, events),
            ],
        )
        network.save(staging / MODEL_FILE)
        log = {name: [float(value) for value in values] for name, values in history.history.items()}
        _write_records(staging, log, checkpoints, events)
        manifest = Manifest(
            stage="train",
            configuration=train_configuration(description, model, seed),
            fingerprint=fingerprint,
            inputs=subgraphs.inputs,
            upstream=subgraphs.fingerprint,
            newest_edge_time=subgraphs.newest_edge_time,
            counters={"parameters": parameters["total"], "epochs": len(history.epoch)},
            details={
                "meaning": variant.meaning,
                "valid_auc": max(log.get("val_auc", [float("nan")])),
                "seconds": round(time.monotonic() - started, 1),
                "parameters": parameters,
                **({} if group.strategy is None else {"replicas": group.replicas}),
                **checkpoints.note,
            },
        )
        write_manifest(staging, manifest)
    return manifest


def remove_checkpoints(target: Path) -> None:
    """Remove what a training that was killed after its end left beside the model."""
    shutil.rmtree(_checkpoint_directory(target), ignore_errors=True)


def _checkpoint_directory(target: Path) -> Path:
    return target.with_name(f".{target.name}.checkpoint")


def new_network(
    run: RunDirectory,
    description: DatasetDescription,
    model: str,
    items: NodeTable,
    users: NodeTable,
    group: ReplicaGroup,
) -> E2EGRec:
    """A compiled model with the vocabularies and moments of the training split."""
    with Status("reading the statistics of the training split"):
        train_files = record_files(run.subgraphs, "train")
        statistics = collect_statistics(description, train_files, items, users)
    inputs = ModelInputs.from_description(
        description,
        item_vocabulary=len(statistics.vocabularies["item"]["#id"]),
        user_vocabulary=len(statistics.vocabularies["user"]["#id"]),
        vocabulary_sizes=statistics.vocabulary_sizes(),
    )
    with group.scope():
        network = E2EGRec(inputs, description.model, variant_named(model), name=model.replace("-", "_"))
        adapt_model(network, statistics)
        compile_model(network, description)
    return network


def _write_records(
    directory: Path, log: dict[str, list[float]], checkpoints: Checkpoints, events: Path
) -> None:
    """What the training left beside the model: history, event files, and the task weights for a static rerun."""
    (directory / "history.json").write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")
    if events.parent != directory:
        shutil.move(events, directory / "tensorboard")
    for callback in checkpoints.callbacks:
        if isinstance(callback, GradNorm):
            callback.export(directory / "task_weights.json")


def _handed_over(
    network: E2EGRec, previous: PreviousModel | None, nodes: dict[str, NodeTable], graph: Path
) -> dict[str, dict[str, Any]]:
    """Start from the previous model; what the manifest says about it, nothing where there is none."""
    if previous is None:
        return {}
    with Status(f"starting from {previous.directory}"):
        former = load_model(previous.directory)
        return {"warm_start": previous.hand_over(former, network, nodes, graph)}


def _pretraining(
    network: E2EGRec, description: DatasetDescription, data: TrainingData
) -> dict[str, dict[str, Any]]:
    """Pretrain the graph neural network of a cascade; what the manifest says about it, nothing of other models."""
    if not network.variant.is_cascade:
        return {}
    with Status(f"pretraining the graph neural network by {network.variant.pretraining.upper()}"):
        pretrained = pretrain_graph(network, description, data.first_epoch(), data.validation())
        return {"pretraining": pretrained}


def identify_impressions(graph: Any) -> str:
    """A batch by its impressions: how many, a digest of their ids in order, and the first ones."""
    ids = graph.node_sets[READOUT]["impression_id"].numpy().tolist()
    return f"({len(ids)} impressions, digest {fingerprint_of(ids)}, ids {', '.join(map(str, ids[:3]))}, ...)"


def compile_model(network: E2EGRec, description: DatasetDescription) -> None:
    """Compile with the description's optimisers: Adam for the network, row-sparse Adam for the embedding
    tables.
    """
    spec = description.training
    network.compile(
        optimizer=FusedAdam(spec.learning_rate, jit_compile=False),
        embedding_optimizer=RowSparseAdam(spec.embedding_learning_rate, row_decay=spec.embedding_decay),
        task_weights={"ssl": spec.ssl_weight}
        if network.variant.ssl and network.variant.balance == "fixed"
        else None,
    )


def load_model(directory: Path) -> E2EGRec:
    """Load a trained model.

    Raises:
      E2EGRecError: its file is missing or damaged.
    """
    return load_keras_model(directory / MODEL_FILE, "e2egrec train --force")


def read_subgraphs_manifest(run: RunDirectory, description: DatasetDescription) -> Manifest:
    """The manifest of RUN_DIR/subgraphs.

    Raises:
      E2EGRecError: it is missing, or RUN_DIR's description has changed since in what the subgraphs depend on.
    """
    manifest = read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
    now = _restricted(description.model_dump(mode="json", by_alias=True), manifest.configuration)
    changed = ", ".join(key for key, value in manifest.configuration.items() if now[key] != value)
    if changed:
        raise StaleArtefactError(
            f"{run.subgraphs} was made from another description than {run.description_file} ({changed} differs); "
            "run `e2egrec subgraphs` again"
        )
    return manifest


def _restricted(value: Any, recorded: Any) -> Any:
    """The keys of nested mappings that `recorded` has, too: what a stage depends on may be a part of it."""
    if isinstance(value, dict) and isinstance(recorded, dict):
        return {key: _restricted(value.get(key), part) for key, part in recorded.items()}
    return value


def balancing_callbacks(
    description: DatasetDescription, variant: Variant
) -> list[tf.keras.callbacks.Callback]:
    """GradNorm as the description wants it, or nothing where the task weights are fixed."""
    if variant.balance != "gradnorm":
        return []
    spec = description.training
    return [
        GradNorm(
            gamma=spec.gradnorm_gamma,
            learning_rate=spec.gradnorm_learning_rate,
            warmup_steps=spec.gradnorm_warmup_steps,
            priors={"ssl": spec.ssl_prior},
        )
    ]


def _warn(sentence: str) -> None:
    Console().print(f"  warning: {sentence}", style="yellow", highlight=False, soft_wrap=True)


def _guard(label: str, data: TrainingData, skip: int, checkpoints: Checkpoints) -> LossGuard:
    """Notes what it leaves out with the checkpoints, and so in the manifest."""
    skipped = checkpoints.note.setdefault("skipped_batches", []) if skip else None
    return LossGuard(label, data.batch_at, identify_impressions, skip=skip, skipped=skipped, warn=_warn)


def _open_checkpoints(group: ReplicaGroup, directory: Path, fingerprint: str) -> Checkpoints:
    """The checkpoints of one training; says what was found."""
    checkpoints = group.checkpoints(directory, fingerprint, _CHECKPOINT_STEPS, warn=_warn)
    epoch, step = checkpoints.start
    if checkpoints.is_foreign:
        sentence = f"  left out the checkpoint in {directory}: it is of other data or another configuration"
        Console().print(sentence, highlight=False, soft_wrap=True)
    elif (epoch, step) != (0, 0):
        sentence = (
            f"  goes on at epoch {epoch + 1}, after {step} steps, from {directory} (remove it to start anew)"
        )
        Console().print(sentence, highlight=False, soft_wrap=True)
    return checkpoints


def _callbacks(
    description: DatasetDescription,
    variant: Variant,
    label: str,
    data: TrainingData,
    checkpoints: Checkpoints,
    events: Path,
) -> list[tf.keras.callbacks.Callback]:
    """In the order that they need; the event files stand beside the checkpoints, where an interruption leaves them."""
    progress = TrainingProgress(label, data.steps)
    balancing = balancing_callbacks(description, variant)
    stopping = tf.keras.callbacks.EarlyStopping(
        "val_auc", mode="max", patience=description.training.patience, restore_best_weights=True
    )
    probe, _ = next(iter(data.validation()))
    diagnostics = Diagnostics(events / "diagnostics", probe, _CHECKPOINT_STEPS, warn=progress.warn)
    checkpoints.callbacks = [*balancing, stopping, diagnostics]
    return [
        checkpoints,
        *balancing,
        stopping,
        tf.keras.callbacks.TensorBoard(str(events), write_graph=False, update_freq="epoch"),
        diagnostics,
        progress,
    ]
