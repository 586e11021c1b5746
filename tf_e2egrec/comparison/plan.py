"""What a comparison consists of: models, the graph that each needs, and a description per graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tf_e2egrec.dataset.artefact import fingerprint_of
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.description.evaluation_spec import EvaluationSpec
from tf_e2egrec.dataset.description.graph_spec import EdgeKind
from tf_e2egrec.dataset.description.yaml_reader import read_yaml
from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models.variant import variant_named
from tf_e2egrec.stages.compared_model import ComparedModel, set_key, split_models, yaml_text

# The ranker alone, equal capacity, the cascade, without GFAE, the full model, and the decisive control.
DEFAULT_MODELS = ("R0", "R1", "R2b", "R3", "R5", "R5-random-graph")

PROTOCOLS = ("frozen", "rolling")


def compared_models(names: str | None, description: DatasetDescription) -> list[ComparedModel]:
    """The models of `--models`, else those of `comparison.models`, else the usual ones; each once, in the order given.

    Raises:
      E2EGRecError: one is unknown, a setting of one is wrong, or none is named.
    """
    chosen = description.comparison.models or DEFAULT_MODELS if names is None else split_models(names)
    if not chosen:
        raise E2EGRecError("no model is named; give `--models` at least one, such as R0,R5")
    models = [ComparedModel.parse(name) for name in chosen]
    for model in models:
        model.described(description)
    return list(dict.fromkeys(models))


def edges_of(variant: str, description: DatasetDescription) -> EdgeKind:
    """The edges that a model is trained beside: its own, or the description's where it looks at none."""
    found = variant_named(variant)
    return found.edges if found.propagates(training=False) else description.graph.edges


def graph_of(model: ComparedModel, description: DatasetDescription) -> str:
    """The name of the graph that a model is trained beside: its edges, and a hash where its settings need another graph."""
    edges, own = edges_of(model.variant, description), model.own_graph(description)
    return f"{edges}-{fingerprint_of(own)[:8]}" if own else edges


def with_protocol(description: DatasetDescription, protocol: str | None) -> DatasetDescription:
    """The description with another `evaluation.protocol`; as it is for None.

    Raises:
      E2EGRecError: it is neither frozen nor rolling.
    """
    if protocol is None:
        return description
    if protocol not in PROTOCOLS:
        raise E2EGRecError(f"`--protocol` must be one of {', '.join(PROTOCOLS)}. Received: {protocol}")
    evaluation = description.evaluation.model_copy(update={"protocol": protocol})
    return description.model_copy(update={"evaluation": evaluation})


def write_description(
    source: Path,
    edges: EdgeKind,
    target: Path,
    own: Mapping[str, Any] | None = None,
    protocol: str | None = None,
) -> None:
    """Write the description file as one graph has it; unchanged text stays as it is.

    Args:
      source: a description file that has been read without an error.
      edges: what links two items.
      target: the file to write.
      own: further keys of the description -> what they are for this graph; a comment in the file says them.
      protocol: of the comparison; None for the file's.
    """
    text = source.read_text(encoding="utf-8")
    content = read_yaml(text)
    changes = dict(own or {})
    if content["graph"].get("edges", "swing") != edges:
        changes["graph.edges"] = edges
    described = (content.get("evaluation") or {}).get("protocol", EvaluationSpec().protocol)
    if protocol not in (None, described):
        changes["evaluation.protocol"] = protocol
    if changes:
        said = ", ".join(f"`{key}: {yaml_text(value)}`" for key, value in changes.items())
        for key, value in changes.items():
            set_key(content, key, value, str(source))
        text = f"# {source.name} with {said}\n" + yaml.safe_dump(content, sort_keys=False)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, text)


def meaning_of(label: str, model: ComparedModel) -> str:
    """One line for reports: what a model is, and which settings it has of its own or by tuning."""
    settings = ", ".join(f"{key}={yaml_text(value)}" for key, value in model.overrides.items())
    return f"{label}: {variant_named(model.variant).meaning}" + (f" ({settings})" if settings else "")
