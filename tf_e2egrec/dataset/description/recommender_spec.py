"""`RecommenderSpec`: how a retrieval model is trained."""

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class RecommenderSpec(StrictModel):
    """Training of a retrieval model.

    Attributes:
      learning_rate: of Adam.
      batch_size: interactions per step.
      epochs: passes over the training interactions, at most.
      patience: stop after this many measurements without a better validation NDCG.
      evaluate_every: epochs between measurements.
      l2: weight of half the squared norm of a step's embeddings, divided by its interactions.
    """

    learning_rate: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=2048, ge=2)
    epochs: int = Field(default=300, ge=1)
    patience: int = Field(default=10, ge=1)
    evaluate_every: int = Field(default=1, ge=1)
    l2: float = Field(default=1e-4, ge=0)
