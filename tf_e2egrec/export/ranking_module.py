"""`RankingModule`: the signatures of an exported model."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.export.examples_ranker import ExamplesRanker
from tf_e2egrec.export.graph_ranker import GraphRanker
from tf_e2egrec.export.kinds import Kind, make_ranker
from tf_e2egrec.export.rank_request import FreshItems
from tf_e2egrec.export.request_inputs import RequestInputs, request_keys
from tf_e2egrec.export.request_rows import is_listed
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.models import E2EGRec

STAY_SHARE = 0.5  # how much a predicted stay of the maximal length adds to the score, relative to the reward


class RankingModule(tf.Module):
    """What TensorFlow Serving loads: the model, its tables, and the signatures in core ops.

    `rank`: a user, recent items and candidates -> `reward`, `stay_seconds`, `score`, each float32 [B, C]; 0
      beyond `num_candidates`.
    `rank_fresh`: the same, with features and neighbours of fresh candidates in the request; of models that see a
      graph.
    `embed`: items [B] -> `z` float32 [B, width]; of models that see a graph and whose Z is a function of the item.
    `serving_default`: serialized subgraph records [B] -> the outputs of `rank`, [B].
    ``score = reward * (1 + 0.5 * log1p(stay_seconds) / log1p(maximum stay))``, or the reward alone without a
    stay tower.

    Args:
      model: the trained model.
      graph: the tables of the snapshot that is exported.
      description: names and dtypes.
      string_columns: which of `user`, `item` and the context features carry strings in the logs, and so in
        requests.
      kind: where neighbours come from; `examples` has `serving_default` alone, `graph` is the model on the batch graph.
    """

    def __init__(
        self,
        model: E2EGRec,
        graph: ServingGraph,
        description: DatasetDescription,
        string_columns: frozenset[str],
        kind: Kind | Literal["graph"] = "table",
    ) -> None:
        super().__init__(name="ranking_module")
        self.model = model
        self.kind = kind
        self.inputs = RequestInputs(description, string_columns)
        self.ranker: VectorRanker | GraphRanker | None = make_ranker(kind, model, graph)
        self.examples = ExamplesRanker(model, graph.item_table, graph.user_table, description)

    def signature_names(self) -> list[str]:
        """Which signatures this kind of this model has."""
        if self.ranker is None:
            return ["serving_default"]
        if not self.model.variant.propagates(training=False):
            return ["serving_default", "rank"]
        is_lasting = VectorRanker.is_possible(self.model)  # else an embedding would depend on the batch
        return ["serving_default", "rank", "rank_fresh", *(["embed"] if is_lasting else [])]

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Concrete functions by signature name."""
        examples = tf.TensorSpec([None], tf.string, name="examples")
        bodies: dict[str, tuple[Callable[..., Any], dict[str, tf.TensorSpec]]] = {
            "serving_default": (
                lambda inputs: self.score_examples(inputs["examples"]),
                {"examples": examples},
            ),
            "rank": (self.rank, self.rank_inputs()),
            "rank_fresh": (self.rank_fresh, self.rank_fresh_inputs()),
            "embed": (self.embed, self.inputs.embed()),
        }
        return {name: _traced(*bodies[name]) for name in self.signature_names()}

    def rank_inputs(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `rank` by name."""
        return self.inputs.rank()

    def rank_fresh_inputs(self) -> dict[str, tf.TensorSpec]:
        """Inputs of `rank_fresh` by name."""
        return self.inputs.rank() | self.inputs.fresh()

    def rank(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The `rank` signature's body."""
        return self._rank(inputs, None)

    def rank_fresh(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The `rank_fresh` signature's body."""
        return self._rank(inputs, self.inputs.fresh_items(inputs))

    def embed(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The `embed` signature's body."""
        return {"z": self._ranker().embed(request_keys(inputs["items"]))}

    def score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The `serving_default` signature's body."""
        return self._scored(self.examples(examples))

    def _rank(self, inputs: Mapping[str, tf.Tensor], fresh: FreshItems | None) -> dict[str, tf.Tensor]:
        request = self.inputs.rank_request(inputs)
        shape = tf.shape(request.candidates)
        listed = tf.cast(is_listed(request.num_candidates, shape[1]), tf.float32)
        outputs = self._scored(self._ranker().rank(request, fresh))
        return {name: tf.reshape(value, shape) * listed for name, value in outputs.items()}

    def _ranker(self) -> VectorRanker | GraphRanker:
        if self.ranker is None:
            raise ValueError(f"an export of kind {self.kind!r} has no requests without subgraphs")
        return self.ranker

    def _scored(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        reward = tf.cast(outputs["reward"], tf.float32)
        stay = tf.cast(outputs["stay_seconds"], tf.float32)
        longest = tf.math.log1p(tf.constant(self.model.inputs_spec.maximum_stay, tf.float32))
        share = STAY_SHARE if self.model.inputs_spec.has_stay else 0.0
        return {
            "reward": reward,
            "stay_seconds": stay,
            "score": reward * (1.0 + share * tf.math.log1p(stay) / longest),
        }


def _traced(body: Callable[..., Any], specs: Mapping[str, tf.TensorSpec]) -> Callable[..., Any]:
    """The concrete function of a signature; servers leave the shapes of inputs to the graph."""

    def call(**inputs: tf.Tensor) -> Any:
        return body({name: tf.ensure_shape(value, specs[name].shape) for name, value in inputs.items()})

    return tf.function(call).get_concrete_function(**specs)
