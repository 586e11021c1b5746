"""How many parameters a model has, part by part: what makes a comparison fair."""

import itertools

import numpy as np
import tensorflow as tf

from tf_e2egrec.models.e2egrec import E2EGRec

# Attributes of `E2EGRec` by part; a variant may lack some.
_PARTS = {
    "ranker": ("ranker_item", "ranker_user", "ranker_context", "shared_tower", "ranking_features"),
    "gnn": (
        "gnn_input",
        "gnn_user_input",
        "convolution",
        "user_convolution",
        "graph_features",
        "self_supervision",
    ),
    "fusion": ("gate_fusion", "attention_fusion"),
    "towers": ("reward_tower", "stay_tower"),
}


def parameter_counts(network: E2EGRec) -> dict[str, int]:
    """Numbers of parameters that training determines, in the network itself or before it (cascades).

    Returns:
      `embeddings` (of ids and categorical features; a cascade has them twice), `ranker`, `gnn`, `fusion`, `towers`, `total`,
      and `frozen`: how many of the total the ranking loss does not reach. Vocabularies, moments and the state of GradNorm do not
      count.

    Example:
      >>> inputs = ModelInputs(item_vocabulary=9, user_vocabulary=4)
      >>> counts = parameter_counts(E2EGRec(inputs, ModelSpec(dim=8, heads=2), variant_named("R5")))
      >>> counts["embeddings"], counts["frozen"]  # (9 + 1 + 4 + 1) * 8
      (120, 0)
    """
    counted: dict[str, list[tf.Variable]] = {
        "embeddings": [
            layer.embeddings
            for layer in network._flatten_layers()
            if isinstance(layer, tf.keras.layers.Embedding)
        ]
    }
    for part, names in _PARTS.items():
        layers = [getattr(network, name, None) for name in names]
        counted[part] = [weight for layer in layers if layer is not None for weight in layer.weights]
    trained = {id(variable) for variable in network.trainable_variables}
    everything = list(itertools.chain.from_iterable(counted.values()))
    frozen = [variable for variable in everything if id(variable) not in trained]
    counts = {part: _size(variables) for part, variables in counted.items()}
    return counts | {"total": _size(everything), "frozen": _size(frozen)}


def _size(variables: list[tf.Variable]) -> int:
    return int(sum(np.prod(variable.shape) for variable in variables))
