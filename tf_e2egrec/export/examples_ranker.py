"""`ExamplesRanker`: callers send the subgraphs; every export has it, and the kind `examples` nothing else."""

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import LABELS, READOUT, build_graph_schema
from tf_e2egrec.subgraphs.sound_examples import sound_examples


class ExamplesRanker(tf.Module):
    """Ranks impressions that come as serialized subgraph records, with or without labels; the features come from the
    exported node tables.

    Args:
      model: the trained model.
      item_table, user_table: the features.
      description: names and dtypes of the records.
    """

    def __init__(
        self,
        model: E2EGRec,
        item_table: FeatureTable,
        user_table: FeatureTable,
        description: DatasetDescription,
    ) -> None:
        super().__init__(name="examples_ranker")
        self.model = model
        self.item_table, self.user_table = item_table, user_table
        schema = build_graph_schema(description)
        for name in LABELS:
            del schema.node_sets[READOUT].features[name]
        self._unlabelled_spec = tfgnn.create_graph_spec_from_schema_pb(schema)

    def __call__(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """`reward` and `stay_seconds`, each [B], of serialized records, string [B]."""
        batch = tfgnn.parse_example(self._unlabelled_spec, sound_examples(examples))
        readout = batch.node_sets[READOUT].get_features_dict()
        labels = {name: tf.zeros_like(readout["content_duration"]) for name in LABELS}  # left out below
        batch = batch.replace_features(node_sets={READOUT: {**readout, **labels}})
        graph, _ = compact(batch, self.item_table, self.user_table)
        return self.model(graph, training=False)
