"""`GraphRanker`: the batch graph that evaluation sees, built in the request."""

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.rank_request import FreshItems, RankRequest
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.models import E2EGRec


class GraphRanker(tf.Module):
    """Ranks through `E2EGRec.call`; any model can be served so. The other rankers are held against it.

    Args:
      model: the trained model.
      graph: builds a request's graph.
    """

    def __init__(self, model: E2EGRec, graph: ServingGraph) -> None:
        super().__init__(name="graph_ranker")
        self.model = model
        self.graph = graph

    def rank(self, request: RankRequest, fresh: FreshItems | None = None) -> dict[str, tf.Tensor]:
        """`reward` and `stay_seconds`, [B * C]."""
        return self.model(self.graph(request, fresh), training=False)

    def embed(self, keys: tf.Tensor) -> tf.Tensor:
        """Z of int64 [n] items as candidates; float32 [n, width]."""
        number = tf.size(keys)
        unknown = tf.fill([number], tf.constant(MISSING_KEY, tf.int64))
        request = RankRequest(
            user=unknown,
            time=unknown,
            recent=tf.zeros([number, 0], tf.int64),
            num_recent=tf.zeros([number], tf.int32),
            candidates=keys[:, tf.newaxis],
            num_candidates=tf.ones([number], tf.int32),
            context={},
        )
        return tf.cast(self.model.candidate_z(self.graph(request)), tf.float32)
