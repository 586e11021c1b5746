"""GradNorm: the cost of a balanced training step, against the same step with fixed task weights.

    python -m benchmarks.gradnorm [--quick] [--json]

E2EGRec (R5, embeddings of 64, no side features) on a random batch graph: 2,048 impressions, each with its candidate and
three recent items as seeds and 60 edges in all, over 20,000 items. Both steps start from the same weights and get the same
batch. They take 60 turns, and the ratio is the median of the turns' ratios: what else the machine does hits both steps of a
turn alike. The table shows the fastest of each.
"""

import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report, shortest

TARGETS = {"with GradNorm / fixed weights": Target("<=", 1.10)}
SEEDS_PER_IMPRESSION = 4
TURNS = 60


def make_model(items: int, dim: int) -> Any:
    """An R5 without side features, that knows every item and user."""
    import numpy as np
    import tensorflow as tf

    from tf_e2egrec.dataset.description.model_spec import ModelSpec
    from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
    from tf_e2egrec.training import RowSparseAdam

    tf.keras.utils.set_random_seed(0)
    inputs = ModelInputs(item_vocabulary=items, user_vocabulary=items)
    model = E2EGRec(
        inputs, ModelSpec(dim=dim, fusion="gate+attention", attention_residual="tokens"), variant_named("R5")
    )
    for encoder in (model.item_encoder, model.user_encoder):
        encoder.id_lookup.set_keys(np.arange(items))
    model.compile(tf.keras.optimizers.Adam(1e-3, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-3))
    return model


def make_batch(items: int, impressions: int, edges: int, seed: int) -> Any:
    """(batch graph, labels) of random records; popular items repeat by a power law."""
    import numpy as np
    import tensorflow as tf

    from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph

    random = np.random.default_rng(seed)
    share = (1.0 + np.arange(items)) ** -0.8
    seeds, links = impressions * SEEDS_PER_IMPRESSION, impressions * edges
    keys = random.choice(items, seeds + links, p=share / share.sum())
    unique, row = np.unique(keys, return_inverse=True)
    target = np.sort(random.integers(0, seeds, links))
    weight = (1.0 / np.bincount(target, minlength=seeds)[target]).astype(np.float32)
    recent = np.flatnonzero(np.arange(seeds) % SEEDS_PER_IMPRESSION)
    graph = assemble_batch_graph(
        item_ids=tf.constant(unique),
        item_features={},
        seed_item=tf.constant(row[:seeds], tf.int32),
        swing_source=tf.constant(row[seeds:], tf.int32),
        swing_target=tf.constant(target, tf.int32),
        swing_features={"weight": tf.constant(weight), "propagation_weight": tf.constant(weight)},
        user_ids=tf.constant(random.integers(0, items, impressions)),
        user_features={},
        recent_source=tf.constant(recent, tf.int32),
        recent_target=tf.constant(recent // SEEDS_PER_IMPRESSION, tf.int32),
        recent_age=tf.ones(len(recent)),
        candidate_seed=tf.range(impressions) * SEEDS_PER_IMPRESSION,
        readout_features={"impression_id": tf.range(impressions, dtype=tf.int64)},
    )
    labels = {
        "reward": tf.constant((random.random(impressions) < 0.3).astype(np.float32)),
        "stay": tf.constant(random.exponential(20, impressions).astype(np.float32)),
        "content_duration": tf.fill([impressions], float("nan")),
    }
    return graph, labels


def make_step(model: Any, batch: Any, is_balanced: bool) -> Callable[[], Any]:
    """The traced training step of a model on one batch, with or without the update of the task weights."""
    import tensorflow as tf

    from tf_e2egrec.training import GradNorm

    if is_balanced:
        GradNorm(warmup_steps=2).set_model(model)
    model.build_optimizers()
    step = tf.function(lambda graph, labels: model.train_step((graph, labels))["loss"])
    return lambda: step(*batch).numpy()


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when the target is missed."""
    arguments = benchmark_parser(__doc__).parse_args(argv)
    pin_threads()
    items, impressions, edges, dim = (500, 64, 10, 16) if arguments.quick else (20_000, 2_048, 60, 64)
    batch = make_batch(items, impressions, edges, seed=0)
    steps = {
        "with GradNorm": make_step(make_model(items, dim), batch, is_balanced=True),
        "fixed weights": make_step(make_model(items, dim), batch, is_balanced=False),
    }
    for step in steps.values():
        step()  # traces
    turns = [
        {name: shortest(step, 1) for name, step in steps.items()}
        for _ in range(3 if arguments.quick else TURNS)
    ]
    seconds = {name: min(turn[name] for turn in turns) for name in steps}
    figures = [
        {"step": name, "impressions": impressions, "edges": impressions * edges, "ms": round(1e3 * value, 1)}
        for name, value in seconds.items()
    ]
    ratio = statistics.median(turn["with GradNorm"] / turn["fixed weights"] for turn in turns)
    return report(
        "gradnorm",
        {"with GradNorm / fixed weights": ratio},
        {} if arguments.quick else TARGETS,
        figures=figures,
        only_json=arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
