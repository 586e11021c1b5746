"""`E2EGRec`: the graph neural network and the ranker in one Keras model."""

from collections.abc import Mapping
from typing import Any, Literal

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description.model_spec import ModelSpec
from tf_e2egrec.layers import FeatureEmbedding, GraphSAGEConv, LightGCNConv
from tf_e2egrec.losses.global_batch import first_of_each
from tf_e2egrec.losses.reward import reward_loss
from tf_e2egrec.models.empty_graph import empty_batch_graph
from tf_e2egrec.models.entity_encoder import EntityEncoder
from tf_e2egrec.models.graph_features import GraphFeatures, SeedStates, propagate_to_users, without_neighbours
from tf_e2egrec.models.impression_vectors import ImpressionVectors
from tf_e2egrec.models.initializers import IdentityOnTop
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.models.ranker import Ranker
from tf_e2egrec.models.self_supervision import SelfSupervision
from tf_e2egrec.models.variant import Variant
from tf_e2egrec.subgraphs.graph_schema import READOUT


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class E2EGRec(Ranker):
    """E2E-GRec (arXiv 2511.20564): LightGCN encoder, GFAE loss, two-level fusion, reward and stay towers,
    trained end to end.

    With `variant.token == "none"` it is the ranker without a graph, layer for layer. A cascade
    (`variant.pretraining`) is the same model on a graph neural network of its own, which `GraphPretraining`
    trains before, and which is frozen here.

    Args:
      inputs: features and vocabulary sizes.
      spec: the architecture.
      variant: which row of the comparison it is.

    Call arguments:
      graph: a batch graph (`tf_e2egrec.subgraphs.batch_graph`).

    Returns:
      `reward`: float32 [B], probability of the reward; `stay_seconds`: float32 [B], 0 without a stay tower.

    Example:
      >>> inputs = ModelInputs(item_vocabulary=1000, user_vocabulary=100)
      >>> model = E2EGRec(inputs, ModelSpec(dim=8, heads=2), variant_named("R5"))
      >>> model.balancer.tasks
      ('ssl', 'ltr')
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
        self.freeze_graph()

    def _create_encoders(self) -> None:
        data = self.inputs_spec
        self.item_encoder = self._entity_encoder("item", "item_encoder")
        self.user_encoder = self._entity_encoder("user", "user_encoder")
        self.context_embedding = (
            FeatureEmbedding(data.context_features, data.vocabulary_sizes["context"], name="context")
            if data.context_features
            else None
        )
        if self.variant.token != "none":
            self._create_graph_network()
        self.graph_item_encoder: EntityEncoder | None = None
        self.graph_user_encoder: EntityEncoder | None = None
        if self.variant.is_cascade:
            self.graph_item_encoder = self._entity_encoder("item", "graph_item_encoder")
        if self.variant.pretraining == "bpr":
            self.graph_user_encoder = self._entity_encoder("user", "graph_user_encoder")

    def _create_graph_network(self) -> None:
        # `raw_sg` compares Z with the raw features themselves: a square W_in.
        raw = self.item_encoder.output_dim
        dim = raw if self.spec.ssl_loss == "raw_sg" else self.spec.dim
        self.gnn_input = _linear(dim, "gnn_input")
        self.gnn_user_input = _linear(dim, "gnn_user_input")
        self.convolution = self._convolution(dim, self.spec.normalization, "convolution")
        self.user_convolution = self._convolution(dim, "row", "user_convolution")
        self.graph_features = GraphFeatures(self.spec.dim, name="graph_features")
        if self.variant.ssl:
            self.self_supervision = SelfSupervision(
                self.spec.ssl_loss,
                self.item_encoder.widths,
                dim,
                self.spec.mask_rate,
                name="self_supervision",
            )

    def _convolution(self, dim: int, normalization: str, name: str) -> LightGCNConv | GraphSAGEConv:
        if (self.variant.encoder or self.spec.encoder) == "graphsage":
            return GraphSAGEConv(dim, activation="linear", name=name)
        return LightGCNConv(self.spec.layer_weights, normalization, name=name)

    def _entity_encoder(self, group: Literal["item", "user"], name: str) -> EntityEncoder:
        data = self.inputs_spec
        vocabulary, features = (
            (data.item_vocabulary, data.item_features)
            if group == "item"
            else (data.user_vocabulary, data.user_features)
        )
        return EntityEncoder(vocabulary, self.spec.dim, features, data.vocabulary_sizes[group], name=name)

    @property
    def entity_encoders(self) -> list[tuple[EntityEncoder, str]]:
        """Every encoder of items or users, with the group of its vocabularies."""
        found = [
            (self.item_encoder, "item"),
            (self.user_encoder, "user"),
            (self.graph_item_encoder, "item"),
            (self.graph_user_encoder, "user"),
        ]
        return [(encoder, group) for encoder, group in found if encoder is not None]

    @property
    def cascade_layers(self) -> list[tf.keras.layers.Layer]:
        """The graph neural network of a cascade; empty where it is trained with the ranker."""
        if not self.variant.is_cascade:
            return []
        layers = [self.graph_item_encoder, self.gnn_input, self.convolution]
        if self.graph_user_encoder is not None:
            layers += [self.graph_user_encoder, self.gnn_user_input, self.user_convolution]
        return layers

    def freeze_graph(self, frozen: bool = True) -> None:
        """Keep the graph neural network of a cascade from training, or let it train; others have nothing to freeze."""
        for layer in self.cascade_layers:
            layer.trainable = not frozen

    @property
    def shared_kernel(self) -> tf.Variable:
        """The kernel of `gnn_input`, where the tasks meet."""
        return self.gnn_input.kernel

    def call(self, graph: tfgnn.GraphTensor, training: bool | None = None) -> dict[str, tf.Tensor]:
        """See the class docstring."""
        reward_logits, stay_output, _ = self.forward(graph, training)
        duration = (
            None if stay_output is None else self.stay_objective.durations(graph, self.item_encoder.id_lookup)
        )
        return self.predictions(reward_logits, stay_output, duration)

    def forward(
        self, graph: tfgnn.GraphTensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None, SeedStates | None]:
        """Reward logits float32 [B], the stay tower's raw output float32 [B] or None, and the seeds' X and Z
        or None.
        """
        parts, states = self._fusion_parts(graph, training)
        return *self.tower_outputs(parts, training), states

    def diagnose(self, graph: tfgnn.GraphTensor) -> dict[str, tf.Tensor]:
        """What `Diagnostics` shows of a batch: `x`, `z` [S, dim], `gate` [parts], `attention` [parts, parts]."""
        parts, states = self._fusion_parts(graph, training=False)
        found = {} if states is None else {"x": states.x, "z": states.z}
        if self.gate_fusion is not None:
            found["gate"] = tf.stack(self.gate_fusion.openness(parts))
            parts = self.gate_fusion(parts)
        if self.attention_fusion is not None:
            found["attention"] = self.attention_fusion.attention(parts)
        return found

    def _fusion_parts(
        self, graph: tfgnn.GraphTensor, training: bool | None
    ) -> tuple[list[tf.Tensor], SeedStates | None]:
        """F_shared, F_LTR and, in a model with a graph token, F_GNN; the seeds' states or None."""
        propagate = self.variant.propagates(training)
        features = graph.node_sets["item"].get_features_dict()
        if self.variant.is_cascade or not propagate:  # nobody needs the neighbours
            features = {name: without_neighbours(graph, values) for name, values in features.items()}
        items = self.item_encoder(features)
        placed = without_neighbours(graph, items)
        users = self.user_encoder(graph.node_sets["user"].get_features_dict())
        parts = self.graph_ranker_parts(graph, placed, users)
        if self.variant.token == "none":
            return parts, None
        states, user_x = self._graph_states(graph, items, placed, users, propagate)
        user_z = propagate_to_users(graph, states, user_x, self.user_convolution) if propagate else user_x
        parts.append(self.graph_features(graph, states, user_z))
        return parts, states

    def _graph_states(
        self, graph: tfgnn.GraphTensor, items: tf.Tensor, placed: tf.Tensor, users: tf.Tensor, propagate: bool
    ) -> tuple[SeedStates, tf.Tensor]:
        """X and Z of the seeds, and X of the users [B, dim]; a cascade takes its own, frozen ones."""
        if self.graph_item_encoder is not None:
            items = self.graph_item_encoder(graph.node_sets["item"].get_features_dict())
            placed = without_neighbours(graph, items)
        if self.graph_user_encoder is not None:
            users = self.graph_user_encoder(graph.node_sets["user"].get_features_dict())
        states = self.encode_seeds(graph, items, propagate, placed=placed)
        user_x = self.gnn_user_input(users)
        if self.graph_item_encoder is not None:
            states = SeedStates(*map(tf.stop_gradient, states))
        return states, tf.stop_gradient(user_x) if self.graph_user_encoder is not None else user_x

    def encode_seeds(
        self,
        graph: tfgnn.GraphTensor,
        items: tf.Tensor,
        propagate: bool = True,
        seed_items: tf.Tensor | None = None,
        placed: tf.Tensor | None = None,
    ) -> SeedStates:
        """X and Z of the seeds.

        Args:
          graph: the batch graph.
          items: [U, width], the encoded distinct items, which `gnn_input` makes X of.
          propagate: whether neighbours are seen; Z is X where they are not.
          seed_items: [S, width], the seeds where they are not as their items.
          placed: `without_neighbours(graph, items)`, where that is known.
        """
        projects_first = propagate and not isinstance(self.convolution, LightGCNConv)
        if placed is None:
            placed = without_neighbours(graph, items)
        item_x = self.gnn_input(items if projects_first else placed)
        own = graph.node_sets["seed"]["item"]
        x = tf.gather(item_x, own) if seed_items is None else self.gnn_input(seed_items)
        swing = graph.edge_sets["swing"]
        has_neighbours = (
            tf.math.unsorted_segment_sum(swing["propagation_weight"], swing.adjacency.target, tf.shape(x)[0])
            > 0
        )
        if not propagate:
            return SeedStates(x=x, z=x, item_x=item_x, has_neighbours=has_neighbours)
        senders = item_x if projects_first else items
        states = {"item": {tfgnn.HIDDEN_STATE: senders}, "seed": {tfgnn.HIDDEN_STATE: x}}
        graph = graph.replace_features(node_sets=states)
        if projects_first:
            return SeedStates(x, self.convolution(graph, edge_set_name="swing"), item_x, has_neighbours)
        # A (E W) = (A E) W: W is applied once per seed rather than per neighbour, and a gradient at W needs no
        # transposed propagation, which saves GradNorm one of three.
        z = self.convolution.projected(graph, "swing", self.gnn_input)
        return SeedStates(x, z, item_x, has_neighbours)

    def candidate_z(self, graph: tfgnn.GraphTensor) -> tf.Tensor:
        """Z of a batch graph's candidates, outside of training, [B, width]; of models with a graph token."""
        encoder = self.item_encoder if self.graph_item_encoder is None else self.graph_item_encoder
        items = encoder(graph.node_sets["item"].get_features_dict())
        z = self.encode_seeds(graph, items, self.variant.propagates(training=False)).z
        return tf.gather(z, graph.edge_sets[f"{READOUT}/candidate"].adjacency.source)

    def item_vectors(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """What the ranker and what the graph knows of items, without any neighbours.

        Args:
          features: `#id` int64 [n], or `#row` (see `EntityEncoder`), and the item features by name.

        Returns:
          [n, dim] for the ranker, and X [n, width]; without a graph token the first twice.
        """
        items = self.item_encoder(features)
        ranker = self.ranker_item(items)
        if self.variant.token == "none":
            return ranker, ranker
        if self.graph_item_encoder is not None:
            items = self.graph_item_encoder(features)
        return ranker, self.gnn_input(items)

    def user_vectors(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The same of users."""
        users = self.user_encoder(features)
        ranker = self.ranker_user(users)
        if self.variant.token == "none":
            return ranker, ranker
        if self.graph_user_encoder is not None:
            users = self.graph_user_encoder(features)
        return ranker, self.gnn_user_input(users)

    def rank_vectors(self, rows: ImpressionVectors) -> dict[str, tf.Tensor]:
        """What the model returns, outside of training, from X and Z that were computed before.

        `E2EGRec.call` of the same impressions gives the same, up to rounding.
        """
        parts = self.ranker_parts(rows.user, rows.candidate, rows.history, rows.context)
        if self.variant.token != "none":
            user_z = rows.user_x
            if self.variant.propagates(training=False):
                user_z = self.user_convolution.from_mean(user_z, rows.history_x, rows.has_history)
            parts.append(self.graph_features.combine(rows.candidate_z, user_z, rows.history_z, rows.last_z))
        reward_logits, stay_output = self.tower_outputs(parts, training=False)
        duration = (
            None
            if stay_output is None
            else self.stay_objective.known_durations(rows.candidate_key, self.item_encoder.id_lookup)
        )
        return self.predictions(reward_logits, stay_output, duration)

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
            duration = self.stay_objective.durations(inputs, self.item_encoder.id_lookup)
            stay = self.stay_objective.loss(labels["stay"], stay_output, duration)
            self.stay_loss_tracker.update_state(stay)
            ltr += self.stay_weight * stay
        if not self.variant.ssl or states is None:
            return {"ltr": ltr}
        ids = tf.gather(inputs.node_sets["item"]["#id"], inputs.node_sets["seed"]["item"])
        mask = states.has_neighbours & first_of_each(ids)
        return {"ssl": self.self_supervision.loss(self, inputs, states, mask), "ltr": ltr}

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


def _linear(dim: int, name: str) -> tf.keras.layers.Dense:
    return tf.keras.layers.Dense(dim, use_bias=False, kernel_initializer=IdentityOnTop(), name=name)
