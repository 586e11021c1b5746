"""The candidates stage: a trained model's item vectors out as a SavedModel that finds items for a user."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.artefact import Manifest, write_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import KEY_SPACE
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.item_vectors import item_vectors
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.export.servable import save_servable
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.export import newest_snapshot, read_trained
from tf_e2egrec.stages.export_canary import Call, require_sound
from tf_e2egrec.stages.export_gates import versions_in
from tf_e2egrec.stages.export_manifest import export_fingerprint, export_manifest
from tf_e2egrec.stages.export_staging import export_staging
from tf_e2egrec.stages.retrieval_recall import (
    Recall,
    recall,
    snapshot_before_validation,
    validation_positives,
)
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import MODEL_FILE, read_subgraphs_manifest
from tf_e2egrec.subgraphs.graph_schema import LABELS

Similarity = Literal["cosine", "dot"]
Finish = Callable[[Path, list[dict[str, np.ndarray]]], None]
WARMUP_LENGTHS = (1, 20)
_UNKNOWN_KEY, _UNKNOWN_TEXT = 2**62, b"\x00unknown"  # no log has them
_SAMPLE = 16  # users that the published answers are tried with


@dataclasses.dataclass(frozen=True)
class CandidatesOptions:
    """How to export.

    Attributes:
      top: how many items a request finds.
      similarity: of the query and an item: `cosine`, or `dot`, which favours items of long vectors.
      version: integer directory name; one more than the newest when absent.
      finish: called with the directory and warm-up requests before it is tried.
    """

    top: int = 100
    similarity: Similarity = "cosine"
    version: int | None = None
    finish: Finish | None = None


class ExportedCandidates(NamedTuple):
    """What was published.

    Attributes:
      directory: of the version.
      recall: on the validation split.
    """

    directory: Path
    recall: Recall


def export_candidates(
    run: RunDirectory, model: str, seed: int, to: Path, options: CandidatesOptions | None = None
) -> ExportedCandidates:
    """Write TO/<version> aside, try it in a process that has none of this project's code, and rename it into place.

    Its vectors are Z under the newest graph; recall is measured under the graph of the moment when the validation split
    begins, so that no row finds itself.

    Args:
      run: the run directory.
      model, seed: which trained model.
      to: the base path; the server polls it for new versions.
      options: how.

    Raises:
      E2EGRecError: the model is not there, belongs to other subgraphs or has no item vectors; the version exists; the export
        does not load or does not answer as expected. Nothing is published then.
    """
    options = options or CandidatesOptions()
    description = run.description()
    subgraphs = read_subgraphs_manifest(run, description)
    trained = read_trained(run, model, seed, subgraphs)
    version = options.version if options.version is not None else max(versions_in(to), default=0) + 1
    target = to / str(version)
    if target.exists():
        raise E2EGRecError(f"{target} exists already; choose another --version or leave it out")
    network = tf.keras.models.load_model(run.model(model, seed) / MODEL_FILE, compile=False)
    _require_vectors(network, model)
    strings = frozenset(subgraphs.details.get("string_columns", []))
    before = snapshot_before_validation(run, description)
    measured = recall(
        retrieval_module(run, description, network, before, strings, options),
        validation_positives(run, description),
    )
    module = retrieval_module(run, description, network, newest_snapshot(run, description), strings, options)
    with export_staging(to) as staging:
        made = staging / str(version)
        save_servable(module, module.signatures(), made)
        if options.finish is not None:
            options.finish(made, warmup_requests(module))
        tried = require_sound(made, _calls(module), [*LABELS, description.ranker.reward])
        kind = f"candidates-{options.top}-{options.similarity}"
        manifest = export_manifest(trained, description, run.model(model, seed), kind, tried)
        write_manifest(made / "assets.extra", _of_candidates(manifest, trained, kind, options, measured))
        made.replace(target)
    return ExportedCandidates(target, measured)


def retrieval_module(
    run: RunDirectory,
    description: DatasetDescription,
    network: E2EGRec,
    snapshot: int,
    strings: frozenset[str],
    options: CandidatesOptions,
) -> RetrievalModule:
    """The search over Z of all items of the logs under one graph snapshot."""
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    neighbours = NeighbourTable.load(run.graph, snapshot).truncate(description.graph.sampling.top)
    vectors = item_vectors(network, ServingGraph(description, items, users, neighbours))
    chosen = items.key < KEY_SPACE  # items of other domains only feed the graph
    counts = items.train_count if items.train_count is not None else np.zeros(len(items.key), np.int64)
    return RetrievalModule(
        keys=items.key[chosen],
        vectors=vectors.z.numpy()[1:][chosen],
        query_vectors=vectors.recent_z.numpy()[1:][chosen],
        popularity=counts[chosen],
        k=options.top,
        recent_limit=description.graph.recent,
        texts=items.id[chosen] if "item" in strings else None,
        cosine=options.similarity == "cosine",
    )


def warmup_requests(module: RetrievalModule) -> list[dict[str, np.ndarray]]:
    """Requests of several lengths for a server to replay before it takes traffic."""
    return [_request(module, [list(range(length))]) for length in WARMUP_LENGTHS]


def _calls(module: RetrievalModule) -> list[Call]:
    """Requests of no, of unknown, and of 1 to 14 recent items, with the answers of this process."""
    size = int(module.keys.shape[0])
    lists = [[], [-1], *([(7 * one + place) % size for place in range(one)] for one in range(1, _SAMPLE - 1))]
    inputs = _request(module, lists)
    with tf.device("/CPU:0"):  # as the process that tries the export
        answer = module.retrieve({name: tf.constant(value) for name, value in inputs.items()})
    outputs = {name: value.numpy() for name, value in answer.items()}
    if module.texts is not None:
        del outputs["items"]  # differences of text are not counted
    return [Call("retrieve", inputs, outputs)]


def _request(module: RetrievalModule, lists: list[list[int]]) -> dict[str, np.ndarray]:
    """A batch of lists of rows of the item table, -1 for an unknown item."""
    known = module.keys.numpy() if module.texts is None else module.texts.numpy()[1:]
    size = len(known)
    ids = np.append(known, _UNKNOWN_KEY if module.texts is None else _UNKNOWN_TEXT)
    width = max(len(one) for one in lists)
    rows = [[*(row % size if row >= 0 else size for row in one), *[0] * (width - len(one))] for one in lists]
    return {"recent": ids[np.array(rows)], "num_recent": np.array([len(one) for one in lists], np.int32)}


def _require_vectors(network: E2EGRec, model: str) -> None:
    if not network.variant.propagates(training=False):
        raise E2EGRecError(
            f"the model {model} sees no graph and has no item vectors to search; name one that does, such as R5"
        )
    if not VectorRanker.is_possible(network):
        raise E2EGRecError(
            f"the item vectors of {model} depend on the batch (`normalization: sym_local`) and cannot be searched; train it "
            "with `row`"
        )


def _of_candidates(
    manifest: Manifest, trained: Manifest, kind: str, options: CandidatesOptions, measured: Recall
) -> Manifest:
    """The manifest of an export, as that of candidates."""
    return manifest.model_copy(
        update={
            "stage": "candidates",
            "configuration": {
                **manifest.configuration,
                "kind": "candidates",
                "top": options.top,
                "similarity": options.similarity,
            },
            "fingerprint": export_fingerprint(trained, kind),
            "details": {**manifest.details, "recall": measured._asdict()},
        }
    )
