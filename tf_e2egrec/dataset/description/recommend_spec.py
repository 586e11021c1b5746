"""`RecommendSpec`: retrieval from whole interaction logs."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tf_e2egrec.dataset.description.light_gcn_spec import LightGCNSpec
from tf_e2egrec.dataset.description.light_gode_spec import LightGODESpec
from tf_e2egrec.dataset.description.recommender_spec import RecommenderSpec
from tf_e2egrec.dataset.description.strict_model import StrictModel


class RecommendSpec(StrictModel):
    """What `e2egrec recommend` trains on, and how.

    Attributes:
      behaviours: those that make an interaction (any of them); `graph.positive` when empty.
      split: `random` (of each user's items), `leave_last_out` (the last item is tested, the one before it validates) or
        `fixed` (`test_paths` are tested).
      test_paths: with `fixed`: files of the first log's layout.
      core: users and items with fewer interactions are left out, again and again until none is; not with `fixed`.
      test_share: with `random`: share of a user's items, rounded down, but at least one where there are two items.
      valid_share: the same for validation, where there are three items; with `fixed`, of the training items. 0: no
        validation, every epoch is trained.
      top: lengths of the lists that are judged; the validation looks at NDCG of the longest.
      dim: width of the embeddings.
      initial_std: deviation of the first embeddings; Xavier's, sqrt(2 / (rows + dim)), when absent.
      mf, lightgcn, lightgode: see there.
    """

    behaviours: list[str] = []
    split: Literal["random", "leave_last_out", "fixed"] = "random"
    test_paths: list[str] = []
    core: int = Field(default=5, ge=1)
    test_share: float = Field(default=0.1, gt=0, lt=0.5)
    valid_share: float = Field(default=0.1, ge=0, lt=0.5)
    top: list[int] = Field(default=[10, 20], min_length=1)
    dim: int = Field(default=64, ge=1)
    initial_std: float | None = Field(default=None, gt=0)
    mf: RecommenderSpec = RecommenderSpec()
    lightgcn: LightGCNSpec = LightGCNSpec()
    lightgode: LightGODESpec = LightGODESpec()

    @field_validator("test_paths", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _lists_have_a_length(self) -> Self:
        if min(self.top) < 1 or len(set(self.top)) < len(self.top):
            raise ValueError(f"`top` takes distinct lengths from 1 on. Received: {self.top}")
        return self

    @model_validator(mode="after")
    def _split_fits(self) -> Self:
        if (self.split == "fixed") != bool(self.test_paths):
            raise ValueError("`test_paths` and `split: fixed` go together: give both or neither")
        return self
