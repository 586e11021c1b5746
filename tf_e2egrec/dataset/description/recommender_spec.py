"""`RecommenderSpec`: how a retrieval model is trained."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class RecommenderSpec(StrictModel):
    """Training of a retrieval model.

    Attributes:
      loss: `bpr` (one negative per pair) or `softmax` (a pair against items of other pairs of the batch, by cosine).
      temperature: with `softmax`: what cosines are divided by.
      candidates: with `softmax`: the distinct items of the first so many pairs of a batch are what each pair competes with, those
        that its user has left out.
      learning_rate: of Adam.
      schedule: of the learning rate: `constant`, or `cosine`, which brings it down to zero over `epochs`.
      batch_size: interactions per step.
      epochs: passes over the training interactions, at most.
      patience: stop after this many measurements without a better validation NDCG.
      evaluate_every: epochs between measurements.
      l2: weight of half the squared norm of a step's embeddings, divided by its interactions.
    """

    loss: Literal["bpr", "softmax"] = "bpr"
    temperature: float = Field(default=0.1, gt=0)
    candidates: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    batch_size: int = Field(default=2048, ge=2)
    epochs: int = Field(default=300, ge=1)
    patience: int = Field(default=10, ge=1)
    evaluate_every: int = Field(default=1, ge=1)
    l2: float = Field(default=1e-4, ge=0)
