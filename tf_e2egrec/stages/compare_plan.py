"""What a comparison consists of: models, the graph that each needs, and a description per graph."""

import uuid
from pathlib import Path

import yaml

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.description.graph_spec import EdgeKind
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models.variant import variant_named

# The ranker alone, equal capacity, the cascade, without GFAE, the full model, and the decisive control.
DEFAULT_MODELS = ("R0", "R1", "R2b", "R3", "R5", "R5-random-graph")


def compared_models(names: str | None) -> list[str]:
    """The models of `--models`, each once, in the order given.

    Raises:
      E2EGRecError: one is unknown, or none is named.
    """
    chosen = DEFAULT_MODELS if names is None else [name.strip() for name in names.split(",") if name.strip()]
    if not chosen:
        raise E2EGRecError("no model is named; give `--models` at least one, such as R0,R5")
    for name in chosen:
        variant_named(name)
    return list(dict.fromkeys(chosen))


def edges_of(model: str, description: DatasetDescription) -> EdgeKind:
    """The graph that a model is trained beside: its own, or the description's where it looks at none."""
    variant = variant_named(model)
    return variant.edges if variant.propagates(training=False) else description.graph.edges


def write_description(source: Path, edges: EdgeKind, target: Path) -> None:
    """Write the description file with `graph.edges` as one graph has it; unchanged text stays as it is.

    Args:
      source: a description file that has been read without an error.
      edges: what links two items.
      target: the file to write.
    """
    text = source.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    if content["graph"].get("edges", "swing") != edges:
        content["graph"]["edges"] = edges
        text = f"# {source.name} with `graph.edges: {edges}`\n" + yaml.safe_dump(content, sort_keys=False)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(target)
