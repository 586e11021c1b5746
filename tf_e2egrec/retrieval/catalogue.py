"""The retrieval models by name."""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.dataset.description.recommender_spec import RecommenderSpec
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.epochs import steps_per_epoch
from tf_e2egrec.retrieval.light_gcn import LightGCN
from tf_e2egrec.retrieval.light_gode import LightGODE
from tf_e2egrec.retrieval.matrix_factorization import MatrixFactorization
from tf_e2egrec.retrieval.recommender import Recommender
from tf_e2egrec.retrieval.seen_items import SeenItems
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph
from tf_e2egrec.training import FusedAdam, RowSparseAdam

# Keras's 1e-7 is as large as the gradient of a rare item in the mean over a large batch, and would slow it down.
_EPSILON = 1e-9
_STEPS_PER_CALL = 16  # of models whose steps are so short that starting them costs as much


class RecommenderKind(NamedTuple):
    """What a model's name stands for.

    Attributes:
      settings: the part of `recommend` that trains it.
      meaning: what the report says of it; `{loss}` stands for the loss.
      convolves_in_training: whether a step touches all rows of the table.
    """

    settings: str
    meaning: str
    convolves_in_training: bool = False


_LOSSES = {"bpr": "BPR", "softmax": "sampled softmax", "directau": "alignment and uniformity"}
KINDS = {
    "mf": RecommenderKind("mf", "matrix factorisation by {loss}, no convolution"),
    "mf-conv": RecommenderKind("mf", "the same, convolved after training as LightGCN does"),
    "directau": RecommenderKind("lightgode", "alignment and uniformity, no convolution"),
    "lightgcn": RecommenderKind("lightgcn", "{loss}, convolution in training and in ranking", True),
    "lightgode": RecommenderKind("lightgode", "{loss}, graph ODE after training"),
}


def recommender_names(text: str) -> list[str]:
    """The names in `mf,lightgcn`, each once.

    Raises:
      E2EGRecError: there is none, or none of that name.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names or [""]:
        if name not in KINDS:
            raise E2EGRecError(f"there is no retrieval model `{name}`; --models takes {', '.join(KINDS)}")
    return names


def settings_of(name: str, spec: RecommendSpec) -> RecommenderSpec:
    """How a model is trained."""
    return getattr(spec, KINDS[name].settings)


def meaning_of(name: str, spec: RecommendSpec) -> str:
    """What the report says of a model."""
    return KINDS[name].meaning.format(loss=_LOSSES[settings_of(name, spec).loss])


def compiled_recommender(name: str, graph: UserItemGraph, spec: RecommendSpec, seed: int) -> Recommender:
    """A model, ready for `fit`.

    Where a step touches the rows of its batch alone, the optimiser is `RowSparseAdam`; where it touches all, `FusedAdam`.

    Args:
      name: one of `KINDS`.
      graph: of the training pairs.
      spec: how to build and train it.
      seed: of the first embeddings.
    """
    kind, settings = KINDS[name], settings_of(name, spec)
    common: dict[str, Any] = {
        "dim": spec.dim, "l2": settings.l2, "initial_std": spec.initial_std, "seed": seed, "name": name.replace("-", "_"),
        "loss": "directau" if name == "directau" else settings.loss,
        "temperature": settings.temperature, "candidates": min(settings.candidates, settings.batch_size),
        "seen": SeenItems(graph.train) if settings.loss == "softmax" else None,
    }  # fmt: skip
    model: Recommender
    if name == "lightgcn":
        model = LightGCN(graph, **spec.lightgcn.convolution, **common)
    elif name == "lightgode":
        ode = spec.lightgode
        model = LightGODE(graph, t=ode.t, solver=ode.solver, steps=ode.steps, gamma=ode.gamma, **common)
    elif name == "directau":
        model = MatrixFactorization(graph.users, graph.items, gamma=spec.lightgode.gamma, **common)
    else:
        after = functools.partial(light_gcn_convolution, graph, **spec.lightgcn.convolution)
        model = MatrixFactorization(
            graph.users, graph.items, convolution=after if name == "mf-conv" else None, **common
        )
    rate = _learning_rate(settings, graph)
    optimizer: tf.keras.optimizers.Optimizer = (
        FusedAdam(rate, epsilon=_EPSILON, jit_compile=False)
        if kind.convolves_in_training
        else RowSparseAdam(rate, epsilon=_EPSILON)
    )
    model.compile(optimizer, steps_per_execution=1 if kind.convolves_in_training else _STEPS_PER_CALL)
    return model


def _learning_rate(
    settings: RecommenderSpec, graph: UserItemGraph
) -> float | tf.keras.optimizers.schedules.LearningRateSchedule:
    if settings.schedule == "constant":
        return settings.learning_rate
    steps = settings.epochs * steps_per_epoch(graph.train, settings.batch_size)
    return tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
