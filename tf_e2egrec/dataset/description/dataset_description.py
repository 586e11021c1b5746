"""`DatasetDescription`: everything the program knows about a data set before it reads the first row."""

from typing import Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from tf_e2egrec.dataset.description.comparison_spec import ComparisonSpec
from tf_e2egrec.dataset.description.entity_table import EntityTable
from tf_e2egrec.dataset.description.evaluation_spec import EvaluationSpec
from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.description.graph_spec import GraphSpec
from tf_e2egrec.dataset.description.interaction_log import InteractionLog
from tf_e2egrec.dataset.description.model_spec import ModelSpec
from tf_e2egrec.dataset.description.ranker_spec import RankerSpec
from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.dataset.description.split_spec import SplitSpec
from tf_e2egrec.dataset.description.strict_model import StrictModel
from tf_e2egrec.dataset.description.training_spec import TrainingSpec
from tf_e2egrec.dataset.ids import MAX_DOMAINS
from tf_e2egrec.dataset.time_axis import parse_duration

_RESERVED = {"reward", "stay", "content_duration", "time", "impression_id", "user_id", "item_id"}


class DatasetDescription(StrictModel):
    """The data set description file: the single source of every name.

    Attributes:
      name: what reports call the data set.
      seed: seeds row filters, caps, negatives and neighbour samples.
      bad_rows: share of unreadable rows up to which a log is accepted; they are skipped and counted.
      interactions: the logs.
      items, users: feature tables.
      ranker, graph, split, model, training, evaluation, comparison, recommend: see there.
    """

    name: str
    seed: int = 0
    bad_rows: float = Field(default=0.01, ge=0, le=1)
    interactions: list[InteractionLog] = Field(min_length=1)
    items: list[EntityTable] = []
    users: list[EntityTable] = []
    ranker: RankerSpec
    graph: GraphSpec
    split: SplitSpec
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    # Left out of dumps, because no artefact's fingerprint may depend on it.
    comparison: ComparisonSpec = Field(default=ComparisonSpec(), exclude=True)
    recommend: RecommendSpec = Field(default=RecommendSpec(), exclude=True)

    _data_root: str = PrivateAttr(default=".")

    @field_validator("interactions", "items", "users", mode="before")
    @classmethod
    def _one_table_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _behaviours_are_declared(self) -> Self:
        known = self.behaviour_names
        for key, names in {
            "ranker.reward": [self.ranker.reward],
            "graph.positive": self.graph.positive,
            "graph.explicit": self.graph.explicit,
            "recommend.behaviours": self.recommend.behaviours,
        }.items():
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"`{key}` names the behaviour `{name}`, but the logs declare {', '.join(known)}"
                    )
        return self

    @model_validator(mode="after")
    def _regime_agrees(self) -> Self:
        if self.graph.regime == "equal" and self.graph.rows:
            raise ValueError(
                "`graph.rows` cannot be given with `graph.regime: equal`: the graph then sees the ranker's rows"
            )
        if self.graph.regime == "equal" and any(log.feeds != "both" for log in self.interactions):
            raise ValueError(
                "a log with `feeds: graph` or `feeds: ranker` needs `graph.regime: cross-domain`"
            )
        return self

    @model_validator(mode="after")
    def _features_agree(self) -> Self:
        declared = {feature.name: feature for feature in self.context_features}
        for feature in (
            feature for log in self.interactions if log.feeds != "graph" for feature in log.context
        ):
            if feature.type != declared[feature.name].type:
                raise ValueError(
                    f"the context feature `{feature.name}` has two types; give it one in every log"
                )
        for group in (self.item_features, self.user_features, self.context_features):
            names = [feature.name for feature in group]
            for name in names:
                if names.count(name) > 1 or (name in _RESERVED):
                    raise ValueError(
                        f"the feature name `{name}` is {'reserved' if name in _RESERVED else 'used twice'}"
                    )
        return self

    @model_validator(mode="after")
    def _domains_agree(self) -> Self:
        if len(self.domains) > MAX_DOMAINS:
            raise ValueError(
                f"there are {len(self.domains)} item domains; at most {MAX_DOMAINS} are possible"
            )
        for table in self.items:
            if table.domain not in self.domains:
                raise ValueError(
                    f"`items.domain` is `{table.domain}`, but the logs have {', '.join(self.domains)}"
                )
        return self

    @model_validator(mode="after")
    def _node_sets_agree(self) -> Self:
        types = {feature.name: feature.type for feature in self.item_features}
        names = ["user", *self.domains, *(node_set.name for node_set in self.graph.node_sets)]
        for node_set in self.graph.node_sets:
            if types.get(node_set.feature) != "categorical":
                raise ValueError(
                    f"`graph.node_sets` names `{node_set.feature}`, which is no categorical item feature; there are "
                    f"{', '.join(name for name, kind in types.items() if kind == 'categorical') or 'none'}"
                )
            if names.count(node_set.name) > 1:
                raise ValueError(f"`graph.node_sets`: the name `{node_set.name}` is taken")
        return self

    @model_validator(mode="after")
    def _sampling_agrees(self) -> Self:
        if self.training.resample != "never" and not self.graph.sampling.has_table:
            raise ValueError(
                f"`training.resample: {self.training.resample}` draws neighbours from a table, which "
                "`graph.sampling.format: records` does not write; set the format to `table` or `both`"
            )
        return self

    @model_validator(mode="after")
    def _time_agrees(self) -> Self:
        ranks = [log.time.unit == "rank" for log in self.interactions]
        if any(ranks) != all(ranks):
            raise ValueError("either every log or none has `time.unit: rank`")
        if all(ranks) and any(log.stay is not None and log.stay.gap_to_next for log in self.interactions):
            raise ValueError(
                "`stay.gap_to_next` needs real times: with `time.unit: rank` a gap has no length"
            )
        if all(ranks) and self.split.by != "user_fraction":
            raise ValueError(
                "`split.by` must be `user_fraction` where `time.unit` is `rank`: there are no dates to split by"
            )
        if self.graph.snapshots.refresh == "once" and self.split.labels_from is None:
            raise ValueError(
                "`graph.snapshots.refresh: once` needs `split.labels_from`, the moment where the edge period ends"
            )
        if self.graph.snapshots.refresh == "once" and self.split.by == "user_fraction" and not all(ranks):
            raise ValueError(
                "`graph.snapshots.refresh: once` needs `split.by: time`, or logs with `time.unit: rank`"
            )
        every = self.evaluation.update_every
        if every is not None:  # nobody should learn of a mistake here after the training
            parse_duration(every, "evaluation.update_every", all(ranks))
        return self

    @property
    def behaviour_names(self) -> list[str]:
        """Every behaviour of every log, in order of first mention; the position is the bit in
        `EventBlock.behaviours`.
        """
        return list(dict.fromkeys(name for log in self.interactions for name in log.behaviours))

    @property
    def domains(self) -> list[str]:
        """Item domains in order of first mention; the position is the domain's number in item keys."""
        return list(dict.fromkeys(log.domain for log in self.interactions))

    @property
    def item_features(self) -> list[FeatureSpec]:
        """Features of the item tables."""
        return [feature for table in self.items for feature in table.features]

    @property
    def user_features(self) -> list[FeatureSpec]:
        """Features of the user tables."""
        return [feature for table in self.users for feature in table.features]

    @property
    def context_features(self) -> list[FeatureSpec]:
        """Context features of the ranker's logs, then the derived ones."""
        declared = {f.name: f for log in self.interactions if log.feeds != "graph" for f in log.context}
        derived = {
            name: FeatureSpec(
                name=name, type="categorical" if name in ("hour_of_day", "day_of_week") else "numeric"
            )
            for name in self.ranker.derived
        }
        return list(declared.values()) + list(derived.values())

    @property
    def has_stay(self) -> bool:
        """Whether any log that feeds the ranker has a stay label."""
        return any(log.stay is not None for log in self.interactions if log.feeds != "graph")

    @property
    def time_is_rank(self) -> bool:
        """Whether the logs know only the order within each user."""
        return self.interactions[0].time.unit == "rank"

    @property
    def data_root(self) -> str:
        """The folder that relative paths start from."""
        return self._data_root

    def with_data_root(self, root: str) -> Self:
        """A copy whose relative paths start at `root`."""
        copy = self.model_copy()
        copy._data_root = root
        return copy
