"""`E2EGRec`: the graph neural network and the ranker in one Keras model."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn
import tensorflow_recommenders as tfrs

from tf_e2egrec.dataset.description.model_spec import ModelSpec
from tf_e2egrec.layers import AttentionFusion, FeatureEmbedding, GatedConcatFusion, LightGCNConv, Tower
from tf_e2egrec.layers.light_gcn_conv import aggregate
from tf_e2egrec.losses import gfae_loss, huber_log1p_loss, log1p_to_seconds, reward_loss
from tf_e2egrec.models.empty_graph import empty_batch_graph
from tf_e2egrec.models.entity_encoder import EntityEncoder
from tf_e2egrec.models.graph_features import GraphFeatures, SeedStates
from tf_e2egrec.models.initializers import IdentityOnTop
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.models.variant import Variant
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.training.multi_task_model import MultiTaskModel


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class E2EGRec(MultiTaskModel):
    """E2E-GRec (arXiv 2511.20564): LightGCN encoder, GFAE loss, two-level fusion, reward and stay towers,
    trained end to end.

    With `variant.token == "none"` it is the ranker without a graph, layer for layer.

    Args:
      inputs: features and vocabulary sizes.
      spec: the architecture.
      variant: which row of the comparison it is.

    Call arguments:
      graph: a batch graph (`tf_e2egrec.subgraphs.batch_graph`).

    Returns:
      `reward`: float32 [B], probability of the reward; `stay_seconds`: float32 [B], 0 without a stay tower.
    """

    def __init__(
        self,
        inputs: ModelInputs | Mapping[str, Any],
        spec: ModelSpec | Mapping[str, Any],
        variant: Variant | Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs_spec = ModelInputs.model_validate(inputs)
        self.spec = ModelSpec.model_validate(spec)
        self.variant = Variant.model_validate(variant)
        self.set_tasks(("ssl", "ltr") if self.variant.ssl else ("ltr",))
        self._create_encoders()
        self._create_ranker()
        self.auc = tf.keras.metrics.AUC(name="auc", num_thresholds=400)
        self.reward_loss_tracker = tf.keras.metrics.Mean(name="reward_loss")
        self.stay_loss_tracker = tf.keras.metrics.Mean(name="stay_loss")
        # lambda of L_LTR = L_reward + lambda * L_stay, fixed so that both terms start near 1.
        self.stay_weight = self.add_weight("stay_weight", shape=(), initializer="ones", trainable=False)
        self(
            empty_batch_graph(self.inputs_spec)
        )  # creates every weight, so that the model can be saved and loaded at once

    def _create_encoders(self) -> None:
        data, dim = self.inputs_spec, self.spec.dim
        self.item_encoder = EntityEncoder(
            data.item_vocabulary, dim, data.item_features, data.vocabulary_sizes["item"], name="item_encoder"
        )
        self.user_encoder = EntityEncoder(
            data.user_vocabulary, dim, data.user_features, data.vocabulary_sizes["user"], name="user_encoder"
        )
        self.context_embedding = (
            FeatureEmbedding(data.context_features, data.vocabulary_sizes["context"], name="context")
            if data.context_features
            else None
        )
        if self.variant.token != "none":
            self.gnn_input = _linear(dim, "gnn_input")
            self.gnn_user_input = _linear(dim, "gnn_user_input")
            self.convolution = LightGCNConv(
                self.spec.layer_weights, self.spec.normalization, name="light_gcn"
            )
            self.graph_features = GraphFeatures(dim, self.spec.layer_weights, name="graph_features")

    def _create_ranker(self) -> None:
        dim = self.spec.dim
        self.ranker_item = tf.keras.layers.Dense(dim, name="ranker_item")
        self.ranker_user = tf.keras.layers.Dense(dim, name="ranker_user")
        self.shared_tower = tfrs.layers.blocks.MLP(
            [2 * dim, dim], activation="relu", final_activation="relu", name="shared_tower"
        )
        self.ranking_features = tf.keras.layers.Dense(dim, activation="relu", name="ranking_features")
        fusion = self.variant.fusion or self.spec.fusion
        self.gate_fusion = GatedConcatFusion(name="gate_fusion") if "gate" in fusion else None
        self.attention_fusion = (
            AttentionFusion(dim, self.spec.heads, name="attention_fusion") if "attention" in fusion else None
        )
        self.reward_tower = Tower(self.spec.tower_units, self.spec.dropout, name="reward_tower")
        self.stay_tower = (
            Tower(self.spec.tower_units, self.spec.dropout, name="stay_tower")
            if self.inputs_spec.has_stay
            else None
        )

    @property
    def shared_kernel(self) -> tf.Variable:
        """The kernel of `gnn_input`, where the tasks meet."""
        return self.gnn_input.kernel

    def call(self, graph: tfgnn.GraphTensor, training: bool | None = None) -> dict[str, tf.Tensor]:
        """See the class docstring."""
        reward_logits, stay_output, _ = self.forward(graph, training)
        reward = tf.sigmoid(reward_logits)
        if stay_output is None:
            return {"reward": reward, "stay_seconds": tf.zeros_like(reward)}
        return {
            "reward": reward,
            "stay_seconds": log1p_to_seconds(stay_output, self.inputs_spec.maximum_stay),
        }

    def forward(
        self, graph: tfgnn.GraphTensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None, SeedStates | None]:
        """Reward logits float32 [B], the stay tower's raw output float32 [B] or None, and the seeds' X and Z
        or None.
        """
        items = self.item_encoder(graph.node_sets["item"].get_features_dict())
        users = self.user_encoder(graph.node_sets["user"].get_features_dict())
        parts = self._ranker_parts(graph, items, users)
        states = None
        if self.variant.token != "none":
            states = self.encode_seeds(graph, self.gnn_input(items))
            parts.append(
                self.graph_features(graph, states, self.gnn_user_input(users), self.variant.token == "graph")
            )
        if self.gate_fusion is not None:
            parts = self.gate_fusion(parts)
        fused = (
            self.attention_fusion(parts) if self.attention_fusion is not None else tf.concat(parts, axis=-1)
        )
        stay = self.stay_tower(fused, training=training) if self.stay_tower is not None else None
        return self.reward_tower(fused, training=training), stay, states

    def encode_seeds(self, graph: tfgnn.GraphTensor, item_states: tf.Tensor) -> SeedStates:
        """X and Z of the seeds.

        Args:
          graph: the batch graph.
          item_states: [U, dim], X of the distinct items.
        """
        x = tf.gather(item_states, graph.node_sets["seed"]["item"])
        swing = graph.edge_sets["swing"]
        has_neighbours = (
            tf.math.unsorted_segment_sum(swing["propagation_weight"], swing.adjacency.target, tf.shape(x)[0])
            > 0
        )
        if self.variant.token != "graph":
            return SeedStates(x=x, z=x, item_x=item_states, has_neighbours=has_neighbours)
        states = {"item": {tfgnn.HIDDEN_STATE: item_states}, "seed": {tfgnn.HIDDEN_STATE: x}}
        z = self.convolution(graph.replace_features(node_sets=states), edge_set_name="swing")
        return SeedStates(x=x, z=z, item_x=item_states, has_neighbours=has_neighbours)

    def _ranker_parts(self, graph: tfgnn.GraphTensor, items: tf.Tensor, users: tf.Tensor) -> list[tf.Tensor]:
        """[F_shared, F_LTR], each [B, dim]: all that a ranker without a graph would use, recent items
        included.
        """
        seed_item = graph.node_sets["seed"]["item"]
        candidate_seed = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source
        recent = graph.edge_sets["recent"].adjacency
        item, user = self.ranker_item(items), self.ranker_user(users)
        candidate = tf.gather(item, tf.gather(seed_item, candidate_seed))
        history = mean_by_target(item, tf.gather(seed_item, recent.source), recent.target, tf.shape(user)[0])
        parts = [user, candidate, history]
        crosses = [user * candidate, history * candidate]
        crosses += [tf.reduce_sum(cross, axis=-1, keepdims=True) for cross in crosses]
        if self.context_embedding is not None:
            context = self.context_embedding(graph.node_sets[READOUT].get_features_dict())
            parts.append(context)
            crosses.append(context)
        return [
            self.shared_tower(tf.concat(parts, axis=-1)),
            self.ranking_features(tf.concat(crosses, axis=-1)),
        ]

    def task_losses(
        self, inputs: tfgnn.GraphTensor, labels: Mapping[str, tf.Tensor], training: bool
    ) -> dict[str, tf.Tensor]:
        """`ssl`: the GFAE loss; `ltr`: reward plus weighted stay loss."""
        reward_logits, stay_output, states = self.forward(inputs, training=training)
        reward = reward_loss(labels["reward"], reward_logits)
        ltr = reward
        self.auc.update_state(labels["reward"], tf.sigmoid(reward_logits))
        self.reward_loss_tracker.update_state(reward)
        if stay_output is not None:
            stay = huber_log1p_loss(labels["stay"], stay_output)
            self.stay_loss_tracker.update_state(stay)
            ltr += self.stay_weight * stay
        if not self.variant.ssl or states is None:
            return {"ltr": ltr}
        mask = states.has_neighbours & _first_of_each(inputs.node_sets["seed"]["item"])
        return {"ssl": gfae_loss(states.x, states.z, mask, self.spec.ssl_loss), "ltr": ltr}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "name": self.name,
            "inputs": self.inputs_spec.model_dump(mode="json"),
            "spec": self.spec.model_dump(mode="json"),
            "variant": self.variant.model_dump(mode="json"),
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: the constructor has created every weight."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "E2EGRec":
        """Inverse of `get_config`."""
        del custom_objects
        return cls(**config)


def mean_by_target(values: tf.Tensor, source: tf.Tensor, target: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Mean of `values[source]` per target, zero where there is none; [count, d]."""
    ones = tf.ones_like(source, tf.float32)
    number = tf.math.unsorted_segment_sum(ones, target, count)
    return aggregate(values, source, target, tf.math.divide_no_nan(ones, tf.gather(number, target)), count)


def _linear(dim: int, name: str) -> tf.keras.layers.Dense:
    return tf.keras.layers.Dense(dim, use_bias=False, kernel_initializer=IdentityOnTop(), name=name)


def _first_of_each(rows: tf.Tensor) -> tf.Tensor:
    """True at the first occurrence of each value; bool [n]."""
    count = tf.shape(rows)[0]
    values, position = tf.unique(rows)
    first = tf.math.unsorted_segment_min(tf.range(count), position, tf.shape(values)[0])
    return tf.gather(first, position) == tf.range(count)
