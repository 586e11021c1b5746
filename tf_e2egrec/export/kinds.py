"""The kinds of export: where the graph is when a request is answered."""

from typing import Literal, get_args

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.graph_ranker import GraphRanker
from tf_e2egrec.export.hybrid_ranker import HybridRanker
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.table_ranker import TableRanker
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.models import E2EGRec

Kind = Literal["hybrid", "table", "examples"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def chosen_kind(kind: str | None, model: E2EGRec) -> Kind:
    """The kind asked for, or else `hybrid` where the model allows it and `table` where not.

    Raises:
      E2EGRecError: there is no such kind, or the model has no Z to look up.
    """
    sees_graph = model.variant.propagates(training=False)
    possible = sees_graph and VectorRanker.is_possible(model)
    if kind is None:
        return "hybrid" if possible else "table"
    if kind not in KINDS:
        raise E2EGRecError(f"there is no kind of export `{kind}`; choose from {', '.join(KINDS)}")
    if kind == "hybrid" and not possible:
        why = "`normalization: sym_local` makes Z depend on the batch" if sees_graph else "it sees no graph"
        raise E2EGRecError(f"this model cannot be exported as `hybrid`: {why}; use --kind table")
    return kind


def make_ranker(
    kind: Kind | Literal["graph"], model: E2EGRec, graph: ServingGraph
) -> VectorRanker | GraphRanker | None:
    """What answers `rank` in an export of a kind; None where callers send subgraphs instead.

    `graph` is the model itself on the batch graph, which the others are held against.
    """
    if kind == "examples":
        return None
    if kind == "hybrid":
        return HybridRanker(model, graph)
    if kind == "table" and VectorRanker.is_possible(model):
        return TableRanker(model, graph)
    return GraphRanker(model, graph)
