"""The models and batches that `benchmarks.train_step` and `benchmarks.peers` measure."""

from collections.abc import Callable
from typing import Any, NamedTuple

FEATURES, FEATURE_VALUES, FEATURE_WIDTH = 8, 1_000, 8
RECENT = 5
NO_NEIGHBOURS = ("R0", "R1")


class Size(NamedTuple):
    """How big the work is.

    Attributes:
      items: of the catalogue, and as many users.
      fanout: neighbours of each candidate.
      recent_fanout: neighbours of each recent item.
      batch: impressions per step.
      dim: width of embeddings and states.
      exponent: of the power law that items are drawn by.
    """

    items: int
    fanout: int
    recent_fanout: int = 0
    batch: int = 4_096
    dim: int = 64
    exponent: float = 1.0


def make_model(name: str, size: Size, users: int | None = None) -> Any:
    """A model with eight side features of the items, compiled as `e2egrec train` compiles it; as many users as items by default."""
    import numpy as np
    import tensorflow as tf

    from tf_e2egrec.dataset.description import FeatureSpec
    from tf_e2egrec.dataset.description.model_spec import ModelSpec
    from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
    from tf_e2egrec.training import FusedAdam, GradNorm, RowSparseAdam

    tf.keras.utils.set_random_seed(0)
    features = [
        FeatureSpec(name=f"feature_{i}", type="categorical", embedding_dim=FEATURE_WIDTH)
        for i in range(FEATURES)
    ]
    sizes = {feature.name: FEATURE_VALUES for feature in features}
    rows = {"item": size.items, "user": users or size.items}
    inputs = ModelInputs(
        item_features=features,
        item_vocabulary=rows["item"],
        user_vocabulary=rows["user"],
        vocabulary_sizes={"item": sizes, "user": {}, "context": {}},
    )
    model = E2EGRec(
        inputs,
        ModelSpec(dim=size.dim, fusion="gate+attention", attention_residual="tokens"),
        variant_named(name),
    )
    for encoder, group in model.entity_encoders:
        encoder.id_lookup.set_keys(np.arange(rows[group]))
    for feature in features:
        model.item_encoder.feature_embedding.set_vocabulary(feature.name, np.arange(FEATURE_VALUES))
    model.compile(FusedAdam(1e-3, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-3))
    if model.variant.balance == "gradnorm":
        GradNorm(warmup_steps=2).set_model(model)
    model.build_optimizers()
    return model


def popular(items: int, count: int, random: Any, exponent: float = 1.0) -> Any:
    """int64 [count] items, drawn by a power law; by default Zipf's."""
    import numpy as np

    cumulative = np.cumsum((1.0 + np.arange(items)) ** -exponent)
    return np.searchsorted(cumulative, random.random(count) * cumulative[-1])


def make_batch(size: Size, sees_neighbours: bool, seed: int) -> Any:
    """(batch graph, labels); a model that sees no neighbours is given none.

    Every impression has a candidate and `RECENT` recent items. Seeds are distinct, and items that are but neighbours stand behind
    the others, as in the batches of `impression_dataset`.
    """
    import numpy as np
    import tensorflow as tf

    from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph

    random = np.random.default_rng(seed)
    candidate, row_of = np.unique(popular(size.items, size.batch, random, size.exponent), return_inverse=True)
    recent, recent_row = np.unique(
        popular(size.items, size.batch * RECENT, random, size.exponent), return_inverse=True
    )
    seeds = np.r_[candidate, recent]
    fanout = np.repeat([size.fanout, size.recent_fanout], [len(candidate), len(recent)]) * sees_neighbours
    target = np.repeat(np.arange(len(seeds)), fanout)
    share = (1 / np.maximum(fanout, 1)[target]).astype(np.float32)
    neighbours = popular(size.items, len(target), random, size.exponent)
    keys, position = (part.numpy() for part in tf.unique(np.r_[seeds, neighbours]))
    kinds = random.integers(0, FEATURE_VALUES, (FEATURES, size.items))
    graph = assemble_batch_graph(
        item_ids=tf.constant(keys),
        item_features={f"feature_{i}": tf.constant(kinds[i][keys]) for i in range(FEATURES)},
        seed_item=tf.constant(position[: len(seeds)], tf.int32),
        swing_source=tf.constant(position[len(seeds) :], tf.int32),
        swing_target=tf.constant(target, tf.int32),
        swing_features={"weight": tf.constant(share), "propagation_weight": tf.constant(share)},
        user_ids=tf.constant(random.integers(0, size.items, size.batch)),
        user_features={},
        recent_source=tf.constant(len(candidate) + recent_row, tf.int32),
        recent_target=tf.repeat(tf.range(size.batch), RECENT),
        recent_age=tf.ones(size.batch * RECENT),
        candidate_seed=tf.constant(row_of, tf.int32),
        readout_features={"impression_id": tf.range(size.batch, dtype=tf.int64)},
    )
    labels = {
        "reward": tf.constant((random.random(size.batch) < 0.3).astype(np.float32)),
        "stay": tf.constant(random.exponential(20, size.batch).astype(np.float32)),
        "content_duration": tf.fill([size.batch], float("nan")),
    }
    return graph, labels


def make_step(model: Any, batch: Any) -> Callable[[], Any]:
    """The traced training step on one batch."""
    import tensorflow as tf

    step = tf.function(lambda graph, labels: model.train_step((graph, labels))["loss"])
    return lambda: step(*batch).numpy()
