"""`FeatureSpec`: one input feature of an item, a user or a request."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel


class FeatureSpec(StrictModel):
    """A feature column and how the model reads it.

    Attributes:
      name: the feature's name in node tables, GraphTensors and signatures.
      column: the column it is read from; the name when absent.
      type: `categorical` (a key per value), `numeric` (float32) or `dense` (a float32 vector).
      multivalued: categorical only; the value is a list, or a string to be split at `separator`.
      separator: what separates the values of a multi-valued string, or the numbers of a dense vector in text
        files.
      max_values: multi-valued only; further values are dropped, and counted.
      dimension: dense only; the vector's length.
      transform: numeric only; `log1p` before standardisation.
      embedding_dim: categorical only; width of the embedding, chosen from the vocabulary's size when absent.
      min_count: categorical only; values seen less often share the unknown row.
      hash_buckets: categorical only; values are hashed into this many rows instead of being looked up in a
        vocabulary, so that values which training never saw have a row, too (`min_count` then says nothing).
      hashes: with `hash_buckets` only; how many of those rows a value has, by different hashes. Their sum is its vector, so that
        two values that share one row still differ.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    column: str | None = None
    type: Literal["categorical", "numeric", "dense"]
    multivalued: bool = False
    separator: str = "|"
    max_values: int = Field(default=8, ge=1, le=1024)
    dimension: int | None = Field(default=None, ge=1)
    transform: Literal["none", "log1p"] = "none"
    embedding_dim: int | None = Field(default=None, ge=1)
    min_count: int = Field(default=1, ge=1)
    hash_buckets: int | None = Field(default=None, ge=1)
    hashes: int = Field(default=1, ge=1, le=8)

    @model_validator(mode="after")
    def _keys_fit_the_type(self) -> Self:
        if (self.type == "dense") != (self.dimension is not None):
            raise ValueError(f"feature `{self.name}`: `dimension` goes with `type: dense`, and only with it")
        if self.multivalued and self.type != "categorical":
            raise ValueError(f"feature `{self.name}`: only categorical features can be multi-valued")
        if self.hash_buckets is not None and self.type != "categorical":
            raise ValueError(f"feature `{self.name}`: only categorical features can have `hash_buckets`")
        if self.hashes > 1 and self.hash_buckets is None:
            raise ValueError(f"feature `{self.name}`: `hashes` goes with `hash_buckets`, and only with it")
        return self

    @property
    def source_column(self) -> str:
        """The column the feature is read from."""
        return self.column or self.name

    @property
    def width(self) -> int:
        """Numbers per row: `max_values`, `dimension` or 1."""
        if self.multivalued:
            return self.max_values
        return self.dimension or 1
