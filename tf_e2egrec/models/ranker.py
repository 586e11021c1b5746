"""`Ranker`: the part of `E2EGRec` that a model without a graph has, too."""

from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_gnn as tfgnn
import tensorflow_recommenders as tfrs

from tf_e2egrec.dataset.description.model_spec import ModelSpec
from tf_e2egrec.layers import AttentionFusion, FeatureEmbedding, GatedConcatFusion, Tower
from tf_e2egrec.layers.light_gcn_conv import aggregate
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.models.stay_objective import StayObjective
from tf_e2egrec.models.variant import Variant
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.training.multi_task_model import MultiTaskModel


class Ranker(MultiTaskModel):
    """F_shared, F_LTR, the fusion and the towers.

    A base class rather than a layer, so that every layer keeps its place in files of trained models.

    Attributes:
      inputs_spec, spec, variant: set by the subclass before `_create_ranker`.
      context_embedding: the subclass's; None without context features.
    """

    inputs_spec: ModelInputs
    spec: ModelSpec
    variant: Variant
    context_embedding: FeatureEmbedding | None

    def _create_ranker(self) -> None:
        dim = self.spec.dim
        self.ranker_item = tf.keras.layers.Dense(dim, name="ranker_item")
        self.ranker_user = tf.keras.layers.Dense(dim, name="ranker_user")
        if self.context_embedding is not None:
            self.ranker_context = tf.keras.layers.Dense(dim, name="ranker_context")
        self.shared_tower = tfrs.layers.blocks.MLP(
            [2 * dim, dim], activation="relu", final_activation="relu", name="shared_tower"
        )
        self.ranking_features = tf.keras.layers.Dense(dim, activation="relu", name="ranking_features")
        fusion = self.variant.fusion or self.spec.fusion
        self.gate_fusion = GatedConcatFusion(name="gate_fusion") if "gate" in fusion else None
        self.attention_fusion = (
            AttentionFusion(dim, self.spec.heads, self.spec.attention_residual, name="attention_fusion")
            if "attention" in fusion
            else None
        )
        self.reward_tower = Tower(self.spec.tower_units, self.spec.dropout, name="reward_tower")
        self.stay_tower = (
            Tower(self.spec.tower_units, self.spec.dropout, name="stay_tower")
            if self.inputs_spec.has_stay
            else None
        )
        data = self.inputs_spec
        self.stay_objective = StayObjective(
            self.spec.stay_loss,
            data.maximum_stay,
            data.item_vocabulary,
            self.spec.duration_groups,
            name="stay_objective",
        )

    def ranker_parts(
        self,
        user: tf.Tensor,
        candidate: tf.Tensor,
        history: tf.Tensor,
        context_features: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """[F_shared, F_LTR], each [B, dim]: all that a ranker without a graph would use.

        Args:
          user: [B, dim], from `ranker_user`.
          candidate: [B, dim], from `ranker_item`.
          history: [B, dim], the mean of `ranker_item` over the recent items.
          context_features: name -> [B].
        """
        parts = [user, candidate, history]
        crosses = [user * candidate, history * candidate]
        if self.context_embedding is not None:
            context = self.context_embedding(context_features)
            parts.append(context)
            # Who comes from a search engine reads other articles than who comes from the front page.
            crosses += [self.ranker_context(context) * other for other in (candidate, history)]
        crosses += [tf.reduce_sum(cross, axis=-1, keepdims=True) for cross in crosses]
        if self.context_embedding is not None:
            crosses.append(context)
        return [
            self.shared_tower(tf.concat(parts, axis=-1)),
            self.ranking_features(tf.concat(crosses, axis=-1)),
        ]

    def graph_ranker_parts(
        self, graph: tfgnn.GraphTensor, items: tf.Tensor, users: tf.Tensor
    ) -> list[tf.Tensor]:
        """`ranker_parts` of a batch graph, from the encoded items, those that are but neighbours left out, and users."""
        seed_item = graph.node_sets["seed"]["item"]
        candidate_seed = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source
        recent = graph.edge_sets["recent"].adjacency
        item, user = self.ranker_item(items), self.ranker_user(users)
        candidate = tf.gather(item, tf.gather(seed_item, candidate_seed))
        history = mean_by_target(item, tf.gather(seed_item, recent.source), recent.target, tf.shape(user)[0])
        return self.ranker_parts(user, candidate, history, graph.node_sets[READOUT].get_features_dict())

    def tower_outputs(
        self, parts: Sequence[tf.Tensor], training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The fusion and the towers: reward logits float32 [B], and the stay tower's raw output [B] or None."""
        if self.gate_fusion is not None:
            parts = self.gate_fusion(parts)
        fused = (
            self.attention_fusion(parts) if self.attention_fusion is not None else tf.concat(parts, axis=-1)
        )
        stay = self.stay_tower(fused, training=training) if self.stay_tower is not None else None
        return self.reward_tower(fused, training=training), stay

    def predictions(
        self, reward_logits: tf.Tensor, stay_output: tf.Tensor | None, duration: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """What the model returns: `reward` and `stay_seconds`, each [B], of the towers' outputs.

        Args:
          reward_logits, stay_output: from `tower_outputs`.
          duration: of the candidates, see `StayObjective`.
        """
        reward = tf.sigmoid(reward_logits)
        if stay_output is None:
            return {"reward": reward, "stay_seconds": tf.zeros_like(reward)}
        return {"reward": reward, "stay_seconds": self.stay_objective.seconds(stay_output, duration)}


def mean_by_target(values: tf.Tensor, source: tf.Tensor, target: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Mean of `values[source]` per target, zero where there is none; [count, d]."""
    ones = tf.ones_like(source, tf.float32)
    number = tf.math.unsorted_segment_sum(ones, target, count)
    return aggregate(values, source, target, tf.math.divide_no_nan(ones, tf.gather(number, target)), count)
