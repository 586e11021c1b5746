"""A model of a new vocabulary that starts where yesterday's model ended."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.layers import FeatureEmbedding, KeyLookup
from tf_e2egrec.models.e2egrec import E2EGRec
from tf_e2egrec.training.grown_rows import grown_rows, rows_in


class _Table(NamedTuple):
    """An embedding table of both models: row i of ours was row `rows[i]` of theirs, or -1: it is new."""

    ours: Any
    theirs: Any
    rows: np.ndarray


def warm_start(
    new: E2EGRec,
    old: E2EGRec,
    nodes: Mapping[str, NodeTable] | None = None,
    neighbours: NeighbourTable | None = None,
) -> dict[str, dict[str, int]]:
    """Give a fresh model what an older one has learnt, where their vocabularies differ.

    Ids and feature values that both know keep their rows, and what the optimisers remember of them; new ids start at
    `grown_rows`. Ids that the new vocabulary lacks are forgotten: a vocabulary of the ids of the last so many days evicts by last
    use. Everything else is the older model's: dense weights and their moments, GradNorm's state, the moments that numeric features
    are standardised by. The tables of the stay loss are the new one's.

    Args:
      new: has its vocabularies; it is changed in place. Both are compiled, with optimisers of the same kinds.
      old: has been trained; of the same architecture.
      nodes: by group (`item`, `user`), the features by which a new id finds others like itself.
      neighbours: of the items, in the newest graph.

    Returns:
      By group, how many ids were `kept`, `new` and `forgotten`.

    Raises:
      E2EGRecError: the models differ in more than their vocabularies.
    """
    _require_alike(new, old)
    tables = _tables(new, old)
    own = {id(table.ours) for table in tables}
    own |= {id(layer.keys) for layer in new._flatten_layers() if isinstance(layer, KeyLookup)}
    own |= {id(variable) for variable in new.stay_objective.weights}
    for ours, theirs in zip(new.weights, old.weights, strict=True):
        if id(ours) not in own:
            ours.assign(theirs)
    counts = {}
    for (encoder, group), (former, _) in zip(new.entity_encoders, old.entity_encoders, strict=True):
        keys, old_keys = encoder.id_lookup.keys.numpy(), former.id_lookup.keys.numpy()
        kept = int(np.isin(keys, old_keys).sum())
        counts[group] = {"kept": kept, "new": len(keys) - kept, "forgotten": len(old_keys) - kept}
        table = encoder.id_embedding.embeddings
        edges = neighbours if group == "item" else None
        like = None if nodes is None else nodes.get(group)
        former_rows = former.id_embedding.embeddings.numpy()
        table.assign(grown_rows(old_keys, former_rows, keys, table.numpy(), edges, like))
    ids = {id(encoder.id_embedding.embeddings) for encoder, _ in new.entity_encoders}
    for one in tables:
        if id(one.ours) not in ids:
            one.ours.assign(_moved(one, one.theirs, one.ours.numpy()))
    _move_slots(new, old, {id(one.ours): one for one in tables})
    return counts


def _require_alike(new: E2EGRec, old: E2EGRec) -> None:
    ours, theirs = new.get_config(), old.get_config()
    for part in ("spec", "variant"):
        if ours[part] != theirs[part]:
            raise E2EGRecError(
                f"the former model differs in its `{part}`; a warm start needs the same architecture: train anew, or change it back"
            )
    names = [
        {key: value for key, value in one["inputs"].items() if key.endswith("_features")}
        for one in (ours, theirs)
    ]
    if names[0] != names[1]:
        raise E2EGRecError(
            "the former model has other features; a warm start needs the same ones: train anew, or change them back"
        )


def _tables(new: E2EGRec, old: E2EGRec) -> list[_Table]:
    """Every table that is looked up by key."""
    found = []
    embeddings: list[tuple[FeatureEmbedding | None, FeatureEmbedding | None]] = [
        (new.context_embedding, old.context_embedding)
    ]
    for (ours, _), (theirs, _) in zip(new.entity_encoders, old.entity_encoders, strict=True):
        rows = _rows(ours.id_lookup, theirs.id_lookup)
        found.append(_Table(ours.id_embedding.embeddings, theirs.id_embedding.embeddings, rows))
        embeddings.append((ours.feature_embedding, theirs.feature_embedding))
    for layer, former in embeddings:
        if layer is None or former is None:
            continue
        for name, lookup in layer.lookups.items():
            if isinstance(lookup, KeyLookup):
                rows = _rows(lookup, former.lookups[name])
                found.append(
                    _Table(layer.embeddings[name].embeddings, former.embeddings[name].embeddings, rows)
                )
    return found


def _rows(ours: KeyLookup, theirs: KeyLookup) -> np.ndarray:
    rows = rows_in(theirs.keys.numpy(), ours.keys.numpy())
    return np.r_[0, np.where(rows > 0, rows, -1)]  # row 0 is that of unknown keys in both


def _moved(table: _Table, values: Any, otherwise: np.ndarray) -> np.ndarray:
    """Rows of the older model's variable in the new order; `otherwise` where there is none."""
    return np.where(table.rows[:, np.newaxis] >= 0, values.numpy()[table.rows], otherwise)


def _move_slots(new: E2EGRec, old: E2EGRec, tables: Mapping[int, _Table]) -> None:
    """What the optimisers remember, row by row; of new rows, nothing."""
    for model in (new, old):
        model.build_optimizers()
    groups = zip(new._optimizers(), old._optimizers(), new._partition(new.trainable_variables), strict=True)
    for ours, theirs, variables in groups:
        if ours is None or not variables:
            continue
        ours.iterations.assign(theirs.iterations)
        for i, variable in enumerate(variables):
            for name in ("_momentums", "_velocities"):
                slot, former = getattr(ours, name)[i], getattr(theirs, name)[i]
                if id(variable) in tables:
                    slot.assign(_moved(tables[id(variable)], former, np.zeros(slot.shape)))
                else:
                    slot.assign(former)
