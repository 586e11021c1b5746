"""`TrainingSpec`: how the model is trained."""

from typing import Literal

from pydantic import Field

from tf_e2egrec.dataset.description.strict_model import StrictModel


class TrainingSpec(StrictModel):
    """Optimisation.

    Attributes:
      models: what `e2egrec run` trains and compares.
      epochs: passes over the training impressions; the epoch with the best validation AUC is kept.
      pretraining_epochs: passes over them before, which train the graph neural network of a cascade (R2, R2b).
      patience: stop after this many epochs without a better validation AUC.
      batch_size: impressions per step.
      order: `shuffle` (the whole split) or `time` (one pass in time order suits data that moves
        fast).
      resample: how often the training impressions' neighbours are drawn anew: `never` (the sample that records
        hold, too), every `epoch` or every `step`. Needs the neighbour table (`graph.sampling.format`).
      learning_rate, embedding_learning_rate: of the dense weights and of the embedding tables.
      embedding_decay: decoupled weight decay of the embedding rows of a batch (see `RowSparseAdam`).
      min_count: items and users seen less often in the training period share the unknown row.
      ssl_prior: the self-supervised task's share of the gradient relative to the ranking task's, under
        GradNorm, and of the first weights.
      ssl_weight: its weight where task weights are fixed (R4).
      skip_bad_batches: leave out up to so many batches whose loss or gradients are not finite, and say which; one more
        stops the training.
      gradnorm_gamma, gradnorm_learning_rate, gradnorm_warmup_steps: see `GradNorm`.
    """

    models: list[str] = ["R0", "R5"]
    epochs: int = Field(default=3, ge=1)
    pretraining_epochs: int = Field(default=3, ge=1)
    patience: int = Field(default=1, ge=0)
    batch_size: int = Field(default=2048, ge=1)
    order: Literal["shuffle", "time"] = "shuffle"
    resample: Literal["never", "epoch", "step"] = "never"
    learning_rate: float = Field(default=3e-3, gt=0)
    embedding_learning_rate: float = Field(default=3e-3, gt=0)
    embedding_decay: float = Field(default=0.0, ge=0)
    min_count: int = Field(default=1, ge=1)
    ssl_prior: float = Field(default=0.05, gt=0)
    ssl_weight: float = Field(default=0.1, ge=0)
    skip_bad_batches: int = Field(default=0, ge=0)
    gradnorm_gamma: float = Field(default=1.0, ge=0)
    gradnorm_learning_rate: float = Field(default=0.025, gt=0)
    gradnorm_warmup_steps: int = Field(default=50, ge=1)
