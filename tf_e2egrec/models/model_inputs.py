"""`ModelInputs`: what a model has to know about its data to be built."""

from typing import Self

from tf_e2egrec.dataset.description import DatasetDescription, FeatureSpec
from tf_e2egrec.dataset.description.strict_model import StrictModel


class ModelInputs(StrictModel):
    """Features and table sizes.

    Attributes:
      item_features, user_features, context_features: the declared features.
      item_vocabulary, user_vocabulary: number of known ids (row 0 of each table stands for all others).
      vocabulary_sizes: number of known keys per categorical feature, by group (`item`, `user`, `context`) and
        name.
      has_stay: whether there is a stay tower.
      maximum_stay: seconds; predictions are cut to it.

    Example:
      >>> ModelInputs(item_vocabulary=1000, user_vocabulary=100).has_stay
      True
    """

    item_features: list[FeatureSpec] = []
    user_features: list[FeatureSpec] = []
    context_features: list[FeatureSpec] = []
    item_vocabulary: int
    user_vocabulary: int
    vocabulary_sizes: dict[str, dict[str, int]] = {"item": {}, "user": {}, "context": {}}
    has_stay: bool = True
    maximum_stay: float = 3600.0

    @classmethod
    def from_description(
        cls,
        description: DatasetDescription,
        item_vocabulary: int,
        user_vocabulary: int,
        vocabulary_sizes: dict[str, dict[str, int]],
    ) -> Self:
        """Take the features from a description and the sizes from the training data."""
        stays = [
            log.stay for log in description.interactions if log.stay is not None and log.feeds != "graph"
        ]
        return cls(
            item_features=description.item_features,
            user_features=description.user_features,
            context_features=description.context_features,
            item_vocabulary=item_vocabulary,
            user_vocabulary=user_vocabulary,
            vocabulary_sizes=vocabulary_sizes,
            has_stay=description.has_stay,
            maximum_stay=max((stay.maximum for stay in stays), default=3600.0),
        )
