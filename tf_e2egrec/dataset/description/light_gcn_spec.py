"""`LightGCNSpec`: LightGCN on the whole graph of users and items."""

from pydantic import Field

from tf_e2egrec.dataset.description.recommender_spec import RecommenderSpec


class LightGCNSpec(RecommenderSpec):
    """Graph convolution in training (arXiv 2002.02126).

    Attributes:
      layers: hops, each of weight 1 / (layers + 1), as is that of the embeddings themselves; `mf-conv` convolves so, too.
    """

    layers: int = Field(default=2, ge=1)
