"""`HybridRanker`: Z of all items is looked up; only fresh candidates see neighbours, those of the request."""

import tensorflow as tf

from tf_e2egrec.export.item_vectors import item_vectors
from tf_e2egrec.export.serving_graph import ServingGraph
from tf_e2egrec.export.vector_ranker import VectorRanker
from tf_e2egrec.models import E2EGRec


class HybridRanker(VectorRanker):
    """Ranks as a cascade does; no neighbour table is exported.

    Args:
      model: the trained model; one that sees a graph.
      graph: gives the tables and neighbours, and is not kept.
    """

    def __init__(self, model: E2EGRec, graph: ServingGraph) -> None:
        vectors = item_vectors(model, graph)
        super().__init__(model, graph, vectors, name="hybrid_ranker")
        self.z = self.recent_z if vectors.z is vectors.recent_z else self._table(vectors.z, "z")

    def z_of(self, rows: tf.Tensor) -> tf.Tensor:
        """See `VectorRanker`."""
        return tf.gather(self.z.value(), rows)
