"""`Variant`: the rows of the comparison, by name."""

from typing import Literal

from tf_e2egrec.dataset.description.graph_spec import EdgeKind
from tf_e2egrec.dataset.description.strict_model import StrictModel
from tf_e2egrec.errors import E2EGRecError


class Variant(StrictModel):
    """What distinguishes one compared model from another.

    Attributes:
      token: the third fusion part: `none`, `features` (X in the graph's place: the capacity control), `graph` (Z), or
        `features-then-graph` (X in training, Z in evaluation and serving: the convolution comes after the training, as in
        LightGODE, arXiv 2407.18910).
      ssl: whether the GFAE loss is trained with the ranking loss.
      balance: `gradnorm`, or `fixed` task weights.
      pretraining: of a cascade, the loss that the graph neural network is trained by, alone and before the ranker, which
        then gets its frozen Z: `gfae` or `bpr`; `none` where both train together. A cascade's network has an item
        embedding of its own (by `bpr` a user embedding, too), as one that is trained elsewhere has.
      fusion: overrides the description's fusion.
      encoder: overrides the description's encoder.
      edges: the graph it has to be trained on, where it sees a graph.
      meaning: one line for reports.
    """

    token: Literal["none", "features", "graph", "features-then-graph"]
    ssl: bool = False
    balance: Literal["gradnorm", "fixed"] = "fixed"
    pretraining: Literal["none", "gfae", "bpr"] = "none"
    fusion: Literal["concat", "gate", "attention", "gate+attention"] | None = None
    encoder: Literal["lightgcn", "graphsage"] | None = None
    edges: EdgeKind = "swing"
    meaning: str

    @property
    def is_cascade(self) -> bool:
        """Whether the graph neural network is frozen while the ranker trains."""
        return self.pretraining != "none"

    def propagates(self, training: bool | None) -> bool:
        """Whether neighbours are seen, in training or outside of it."""
        return self.token == "graph" or (self.token == "features-then-graph" and not training)


_FULL = Variant(token="graph", ssl=True, balance="gradnorm", meaning="the full model")


def _full(meaning: str, **changes: str) -> Variant:
    return Variant.model_validate(_FULL.model_dump() | changes | {"meaning": meaning})


# R3 is the full model without GFAE, R4 the full model without GradNorm.
VARIANTS: dict[str, Variant] = {
    "R0": Variant(token="none", meaning="ranker without graph"),
    "R1": Variant(token="features", meaning="ranker with X in the graph's place (capacity control)"),
    "R1-post-convolution": Variant(
        token="features-then-graph", meaning="R1 in training; Z takes the place of X afterwards"
    ),
    "R2": Variant(token="graph", pretraining="gfae", meaning="cascade: GNN pretrained by GFAE, frozen"),
    "R2b": Variant(token="graph", pretraining="bpr", meaning="cascade: GNN pretrained by BPR, frozen"),
    "R3": Variant(token="graph", meaning="end to end without the self-supervised loss"),
    "R4": Variant(token="graph", ssl=True, meaning="end to end with fixed task weights"),
    "R5": _FULL,
    "R5-gate": _full("the full model, bottom fusion only", fusion="gate"),
    "R5-bottom": _full("the full model, bottom fusion only (another name of R5-gate)", fusion="gate"),
    "R5-gate-attention": _full("the full model, both levels of fusion", fusion="gate+attention"),
    "R5-attention": _full("the full model, upper fusion only", fusion="attention"),
    "R5-concat": _full("the full model, plain concatenation", fusion="concat"),
    "R5-graphsage": _full("the full model with GraphSAGE in LightGCN's place", encoder="graphsage"),
    "R5-random-graph": _full("the full model on a random graph of the same degrees", edges="random"),
    "R5-cooccurrence": _full("the full model on co-occurrence edges", edges="co-occurrence"),
    "R5-2-hops": _full("the full model with 2 hops, as one over their combined edges", edges="two-hop"),
}


def variant_named(name: str) -> Variant:
    """Look a variant up.

    Raises:
      E2EGRecError: there is none of that name.

    Example:
      >>> variant_named("R3").meaning
      'end to end without the self-supervised loss'
    """
    if name not in VARIANTS:
        raise E2EGRecError(f"there is no model `{name}`; choose from {', '.join(VARIANTS)}")
    return VARIANTS[name]


def require_edges(name: str, edges: EdgeKind) -> None:
    """Refuse to train a model on another graph than the one that its name speaks of.

    Args:
      name: of a variant; one that sees no graph may be trained beside any.
      edges: `graph.edges` of the description.

    Raises:
      E2EGRecError: there is no such variant, or it needs other edges.
    """
    variant = variant_named(name)
    if variant.propagates(training=False) and variant.edges != edges:
        raise E2EGRecError(
            f"the model `{name}` needs `graph.edges: {variant.edges}`, but the description says `{edges}`; "
            "change one of them, and give each graph a run directory of its own"
        )
