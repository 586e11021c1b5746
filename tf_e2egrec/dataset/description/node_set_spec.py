"""`NodeSetSpec`: a node set made of the values of an item feature."""

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class NodeSetSpec(StrictModel):
    """One node per value of a categorical item feature, linked to the items that have it.

    Attributes:
      name: the node set's name (`author`); its edge set is `<domain>/<name>`.
      feature: the item feature, single- or multi-valued.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    feature: str
