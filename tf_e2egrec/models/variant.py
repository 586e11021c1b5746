"""`Variant`: the rows of the comparison, by name."""

from typing import Literal

from tf_e2egrec.dataset.description.strict_model import StrictModel
from tf_e2egrec.errors import E2EGRecError


class Variant(StrictModel):
    """What distinguishes one compared model from another.

    Attributes:
      token: the third fusion part: `none`, `features` (X in the graph's place: the capacity control) or
        `graph` (Z).
      ssl: whether the GFAE loss is trained.
      balance: `gradnorm`, or `fixed` task weights.
      fusion: overrides the description's fusion.
      meaning: one line for reports.
    """

    token: Literal["none", "features", "graph"]
    ssl: bool = False
    balance: Literal["gradnorm", "fixed"] = "fixed"
    fusion: Literal["concat", "gate", "attention", "gate+attention"] | None = None
    meaning: str


VARIANTS: dict[str, Variant] = {
    "R0": Variant(token="none", meaning="ranker without graph"),
    "R1": Variant(token="features", meaning="ranker with X in the graph's place (capacity control)"),
    "R3": Variant(token="graph", meaning="end to end without the self-supervised loss"),
    "R4": Variant(token="graph", ssl=True, meaning="end to end with fixed task weights"),
    "R5": Variant(token="graph", ssl=True, balance="gradnorm", meaning="the full model"),
    "R5-gate": Variant(
        token="graph",
        ssl=True,
        balance="gradnorm",
        fusion="gate",
        meaning="the full model, bottom fusion only",
    ),
    "R5-attention": Variant(
        token="graph",
        ssl=True,
        balance="gradnorm",
        fusion="attention",
        meaning="the full model, upper fusion only",
    ),
    "R5-concat": Variant(
        token="graph",
        ssl=True,
        balance="gradnorm",
        fusion="concat",
        meaning="the full model, plain concatenation",
    ),
}


def variant_named(name: str) -> Variant:
    """Look a variant up.

    Raises:
      E2EGRecError: there is none of that name.
    """
    if name not in VARIANTS:
        raise E2EGRecError(f"there is no model `{name}`; choose from {', '.join(VARIANTS)}")
    return VARIANTS[name]
