"""`GraphPretraining`: trains the graph neural network of a cascade, before its ranker."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.losses.bpr import bpr_loss
from tf_e2egrec.losses.gfae import gfae_loss
from tf_e2egrec.losses.global_batch import first_of_each
from tf_e2egrec.models.e2egrec import E2EGRec
from tf_e2egrec.models.entity_encoder import EntityEncoder
from tf_e2egrec.models.graph_features import SeedStates, propagate_to_users
from tf_e2egrec.subgraphs.graph_schema import READOUT
from tf_e2egrec.training.effective_rank import effective_rank
from tf_e2egrec.training.multi_task_model import MultiTaskModel


class GraphPretraining(MultiTaskModel):
    """The graph neural network of `R2` (loss `gfae`) or `R2b` (loss `bpr`), on the batches that the ranker will see.

    `gfae`: the relative GFAE loss of the seeds; users have no part in it, so a cascade by GFAE has no users of its own.
    `bpr`: BPR of the rewarded impressions, <Z of the user, Z of the candidate>, against other candidates of the batch.

    Args:
      network: the cascade; its weights are trained in place and have to be unfrozen.

    Attributes:
      effective_rank: float32 scalar, that of X of the last batch's distinct seeds: exp(entropy of the normalised singular
        values). GFAE alone makes X collapse, which shows here long before the loss is small.

    Raises:
      ValueError: the network is no cascade.
    """

    def __init__(self, network: E2EGRec) -> None:
        super().__init__(name="graph_pretraining")
        if network.graph_item_encoder is None:
            raise ValueError("`network` should be a cascade: others train their graph with the ranker")
        self.item_encoder: EntityEncoder = network.graph_item_encoder
        self.user_encoder: EntityEncoder | None = network.graph_user_encoder
        self._network = lambda: network  # hidden from Keras: the ranker is not trained here
        self.method = network.variant.pretraining
        self.graph_layers = network.cascade_layers
        self.effective_rank = tf.Variable(0.0, trainable=False, name="effective_rank")
        self.set_tasks((self.method,))

    def call(self, inputs: tfgnn.GraphTensor, training: bool | None = None) -> SeedStates:
        """X and Z of the seeds of a batch graph."""
        del training
        network = self._network()
        items = self.item_encoder(inputs.node_sets["item"].get_features_dict())
        return network.encode_seeds(inputs, items)

    def task_losses(
        self, inputs: tfgnn.GraphTensor, labels: Mapping[str, tf.Tensor], training: bool
    ) -> dict[str, tf.Tensor]:
        """The one loss."""
        states = self(inputs, training=training)
        is_first = first_of_each(tf.gather(inputs.node_sets["item"]["#id"], inputs.node_sets["seed"]["item"]))
        self.effective_rank.assign(effective_rank(tf.boolean_mask(states.x, is_first)))
        if self.user_encoder is None:
            return {"gfae": gfae_loss(states.x, states.z, states.has_neighbours & is_first, "relative")}
        network = self._network()
        users = inputs.node_sets["user"]
        user_x = network.gnn_user_input(self.user_encoder(users.get_features_dict()))
        candidate = inputs.edge_sets[f"{READOUT}/candidate"].adjacency.source
        loss = bpr_loss(
            users=propagate_to_users(inputs, states, user_x, network.user_convolution),
            items=tf.gather(states.z, candidate),
            user_ids=users["#id"],
            item_ids=tf.gather(inputs.node_sets["seed"]["item"], candidate),
            positive=labels["reward"] > 0,
        )
        return {"bpr": loss}
