"""`RankingModule`: the signatures of an exported model."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import KEY_SPACE, MISSING_KEY
from tf_e2egrec.export.serving_graph import RankRequest, ServingGraph
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.graph_schema import record_spec

STAY_SHARE = 0.5  # how much a predicted stay of the maximal length adds to the score, relative to the reward


class RankingModule(tf.Module):
    """What TensorFlow Serving loads: the model, its tables, and two signatures in core ops.

    `rank`: a user, recent items and candidates -> `reward`, `stay_seconds`, `score`, each float32 [B, C]; 0
      beyond `num_candidates`.
    `serving_default`: serialized subgraph records [B] -> the same, [B].
    ``score = reward * (1 + 0.5 * log1p(stay_seconds) / log1p(maximum stay))``, or the reward alone without a
    stay tower.

    Args:
      model: the trained model.
      graph: builds a request's graph.
      description: names and dtypes.
      string_columns: which of `user`, `item` and the context features carry strings in the logs, and so in
        requests.
    """

    def __init__(
        self,
        model: E2EGRec,
        graph: ServingGraph,
        description: DatasetDescription,
        string_columns: frozenset[str],
    ) -> None:
        super().__init__(name="ranking_module")
        self.model = model
        self.graph = graph
        self._description = description
        self._strings = string_columns
        self._record_spec = record_spec(description)

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Concrete functions by signature name."""
        rank = tf.function(lambda **inputs: self.rank(inputs))
        default = tf.function(self.score_examples)
        return {
            "rank": rank.get_concrete_function(**self.rank_inputs()),
            "serving_default": default.get_concrete_function(
                examples=tf.TensorSpec([None], tf.string, name="examples")
            ),
        }

    def rank_inputs(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `rank` by name."""

        def ids(column: str, shape: list[None], name: str) -> tf.TensorSpec:
            return tf.TensorSpec(shape, tf.string if column in self._strings else tf.int64, name=name)

        specs = {
            "user_id": ids("user", [None], "user_id"),
            "time": tf.TensorSpec([None], tf.int64, name="time"),
            "recent": ids("item", [None, None], "recent"),
            "num_recent": tf.TensorSpec([None], tf.int32, name="num_recent"),
            "candidates": ids("item", [None, None], "candidates"),
            "num_candidates": tf.TensorSpec([None], tf.int32, name="num_candidates"),
        }
        for feature in self._request_features():
            is_number = feature.type != "categorical"
            specs[feature.name] = (
                tf.TensorSpec([None], tf.float32, name=feature.name)
                if is_number
                else ids(feature.name, [None], feature.name)
            )
        return specs

    def rank(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The `rank` signature's body."""
        context = {
            feature.name: _keys(inputs[feature.name])
            if feature.type == "categorical"
            else inputs[feature.name]
            for feature in self._request_features()
        }
        request = RankRequest(
            user=_keys(inputs["user_id"]),
            time=inputs["time"],
            recent=_keys(inputs["recent"]),
            num_recent=inputs["num_recent"],
            candidates=_keys(inputs["candidates"]),
            num_candidates=inputs["num_candidates"],
            context=context,
        )
        shape = tf.shape(request.candidates)
        listed = tf.cast(tf.sequence_mask(request.num_candidates, shape[1]), tf.float32)
        outputs = self._outputs(self.graph(request))
        return {name: tf.reshape(value, shape) * listed for name, value in outputs.items()}

    def score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The `serving_default` signature's body."""
        batch = tfgnn.parse_example(self._record_spec, examples)
        graph, _ = compact(batch, self.graph.item_table, self.graph.user_table)
        return self._outputs(graph)

    def _outputs(self, graph: tfgnn.GraphTensor) -> dict[str, tf.Tensor]:
        outputs = self.model(graph, training=False)
        reward = tf.cast(outputs["reward"], tf.float32)
        stay = tf.cast(outputs["stay_seconds"], tf.float32)
        longest = tf.math.log1p(tf.constant(self.model.inputs_spec.maximum_stay, tf.float32))
        share = STAY_SHARE if self.model.inputs_spec.has_stay else 0.0
        return {
            "reward": reward,
            "stay_seconds": stay,
            "score": reward * (1.0 + share * tf.math.log1p(stay) / longest),
        }

    def _request_features(self) -> list[Any]:
        derived = set(self._description.ranker.computed_from_request)
        return [feature for feature in self._description.context_features if feature.name not in derived]


def _keys(ids: tf.Tensor) -> tf.Tensor:
    """Raw ids of a request to keys: strings are hashed as the pipelines hash them; negative integers are
    missing.
    """
    if ids.dtype == tf.string:
        return tf.where(
            ids == "", tf.constant(MISSING_KEY, tf.int64), tf.strings.to_hash_bucket_fast(ids, KEY_SPACE)
        )
    return tf.maximum(ids, MISSING_KEY)
