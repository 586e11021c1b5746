"""`InteractionLog`: one log of interactions."""

from typing import Literal

from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.behaviour_spec import BehaviourSpec
from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.description.file_source import FileSource
from tf_e2egrec.dataset.description.stay_spec import StaySpec
from tf_e2egrec.dataset.description.time_spec import TimeSpec


class InteractionLog(FileSource):
    """Rows of (user, item, time, behaviours), and where they are.

    Attributes:
      user, item: the id columns.
      time: the time column and its unit.
      domain: the item domain of this log's items (`video`, `goods`); ids of different domains never meet.
      behaviours: name -> when it happened.
      stay: the stay-duration label, if the log has one.
      context: features known when the item is shown (never what happened afterwards).
      feeds: `ranker`, `graph` or `both`: what this log's rows are used for, before the row filters.
    """

    user: str
    item: str
    time: TimeSpec
    domain: str = "item"
    behaviours: dict[str, BehaviourSpec] = Field(min_length=1)
    stay: StaySpec | None = None
    context: list[FeatureSpec] = []
    feeds: Literal["ranker", "graph", "both"] = "both"

    @model_validator(mode="after")
    def _context_is_not_a_label(self) -> "InteractionLog":
        post_exposure = {spec.column for spec in self.behaviours.values()} | (
            {self.stay.column} if self.stay else set()
        )
        for feature in self.context:
            if feature.source_column in post_exposure:
                raise ValueError(
                    f"context feature `{feature.name}` reads column `{feature.source_column}`, which is known only after the exposure"
                )
            if feature.type == "dense" or feature.multivalued:
                raise ValueError(
                    f"context feature `{feature.name}` must be numeric or single-valued categorical"
                )
        names = [feature.name for feature in self.context]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the feature name `{name}` is used twice")
        return self
