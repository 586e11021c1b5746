"""`EntityTable`: the features of items or users."""

from pydantic import Field

from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.description.file_source import FileSource


class EntityTable(FileSource):
    """One row per item or user.

    Attributes:
      id: the id column.
      domain: items only; the domain whose items the table describes.
      features: what the model reads.
    """

    id: str
    domain: str = "item"
    features: list[FeatureSpec] = Field(min_length=1)
