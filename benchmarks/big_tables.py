"""Training with tables that are large for the machine: memory, and examples per second.

    python -m benchmarks.big_tables [--users N] [--items N] [--dim D] [--steps S] [--quick] [--json]

5 million users and 1 million items by default, each with an embedding of 64 and its two moments; a neighbour table of 30 neighbours an
item, of which each step draws 20 anew for every candidate; batches of 4,096 impressions with five recent items each, items by
Zipf's law, users uniform. The full model (GFAE, GradNorm, gate and attention) trains on two threads with `RowSparseAdam`; sampling runs
between the steps, not beside them. No target is set: the figures are the memory, which the tables dominate, and the rate.
`against 100k rows` compares a step's CPU seconds with those of the same model with 100,000 users and items, in turns.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.reporting import benchmark_parser, pin_threads, report
from benchmarks.step_workload import RECENT, Size, make_model, popular

NEIGHBOURS, FANOUT = 30, 20
BYTES_PER_GB = 1e9


def make_sampler(items: int) -> Any:
    """A `SeedSampler` over a random neighbour table."""
    import numpy as np

    from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
    from tf_e2egrec.graph.neighbour_table import NeighbourTable
    from tf_e2egrec.subgraphs.neighbour_sampler import NeighbourSampler
    from tf_e2egrec.subgraphs.seed_sampler import SeedSampler

    random = np.random.default_rng(0)
    table = NeighbourTable(
        items=np.arange(items),
        indptr=np.arange(items + 1) * NEIGHBOURS,
        neighbours=popular(items, items * NEIGHBOURS, random),
        weights=np.tile(np.linspace(1.0, 0.1, NEIGHBOURS, dtype=np.float32), items),
    )
    spec = SamplingSpec(fanout=FANOUT, recent_fanout=0, top=NEIGHBOURS)
    return SeedSampler({0: table}, _OneSnapshot(), NeighbourSampler(spec, seed=0, deterministic=False))  # type: ignore[arg-type]


class _OneSnapshot:
    """In place of a plan: every impression sees the one table."""

    def snapshot_at(self, time: Any) -> Any:
        """Zeros."""
        return 0 * time


def sampled_batch(size: Size, users: int, sampler: Any, step: int) -> Any:
    """(batch graph, labels) with neighbours that are drawn anew at each step."""
    import numpy as np
    import tensorflow as tf

    from benchmarks.step_workload import FEATURE_VALUES, FEATURES
    from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph

    random = np.random.default_rng(step)
    each = 1 + RECENT
    place = popular(size.items, size.batch * each, random)
    sampled = sampler(place, np.full(size.batch, each), np.zeros(size.batch, np.int64), step + 1)
    keys, position = (part.numpy() for part in tf.unique(np.r_[sampled.key, sampled.source]))
    seed_of = sampled.seed_of_place.reshape(size.batch, each)
    graph = assemble_batch_graph(
        item_ids=tf.constant(keys),
        item_features={f"feature_{i}": tf.constant(keys * (i + 3) % FEATURE_VALUES) for i in range(FEATURES)},
        seed_item=tf.constant(position[: len(sampled.key)]),
        swing_source=tf.constant(position[len(sampled.key) :]),
        swing_target=tf.constant(sampled.target),
        swing_features={
            "weight": tf.constant(sampled.weight),
            "propagation_weight": tf.constant(sampled.propagation_weight),
        },
        user_ids=tf.constant(random.integers(0, users, size.batch)),
        user_features={},
        recent_source=tf.constant(seed_of[:, 1:].ravel()),
        recent_target=tf.repeat(tf.range(size.batch), RECENT),
        recent_age=tf.ones(size.batch * RECENT),
        candidate_seed=tf.constant(seed_of[:, 0]),
        readout_features={"impression_id": tf.range(size.batch, dtype=tf.int64)},
    )
    labels = {
        "reward": tf.constant((place[::each] % 3 == 0).astype(np.float32)),
        "stay": tf.constant(random.exponential(20, size.batch).astype(np.float32)),
        "content_duration": tf.fill([size.batch], float("nan")),
    }
    return graph, labels


def make_run(size: Size, users: int) -> Callable[[int], tuple[float, float, float, float]]:
    """A function of the step's number: wall seconds of sampling and of the step, CPU seconds of the step, and the loss."""
    import tensorflow as tf

    model, sampler = make_model("R5", size, users), make_sampler(size.items)
    graph, labels = sampled_batch(size, users, sampler, 0)
    spec = [
        graph.spec.relax(num_nodes=True, num_edges=True),
        {name: tf.TensorSpec.from_tensor(value) for name, value in labels.items()},
    ]
    step = tf.function(lambda *batch: model.train_step(batch)["loss"], input_signature=spec)

    def run(number: int) -> tuple[float, float, float, float]:
        started = time.perf_counter()
        batch = sampled_batch(size, users, sampler, number)
        sampled, cpu = time.perf_counter(), time.process_time()
        loss = float(step(*batch))
        return sampled - started, time.perf_counter() - sampled, time.process_time() - cpu, loss

    return run


def main(argv: list[str] | None = None) -> int:
    """Measure and report."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--users", type=int, default=5_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args(argv)
    pin_threads()
    users, size, steps = arguments.users, Size(arguments.items, FANOUT, dim=arguments.dim), arguments.steps
    small = 100_000
    if arguments.quick:
        users, size, steps, small = 5_000, Size(1_000, FANOUT, batch=64, dim=16), 4, 500
    runs = {"large": make_run(size, users), "small": make_run(size._replace(items=small), small)}
    turns = [{name: run(number) for name, run in runs.items()} for number in range(1, steps + 1)][2:]
    sampling, wall, cpu, losses = ([turn["large"][part] for turn in turns] for part in range(4))
    table = 4 * size.dim * (users + size.items)
    figures = {
        "users": users,
        "items": size.items,
        "dim": size.dim,
        "steps": steps,
        "tables and moments GB": round(3 * table / BYTES_PER_GB, 2),
        "peak memory GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_GB, 2),
        "sampling ms": round(1e3 * statistics.median(sampling), 1),
        "step ms": round(1e3 * statistics.median(wall), 1),
        "step CPU ms": round(1e3 * statistics.median(cpu), 1),
        "loss, first and last ten steps": " ".join(
            f"{statistics.mean(p):.4f}" for p in (losses[:10], losses[-10:])
        ),
    }
    ratios = {
        "examples/s": size.batch / statistics.median(a + b for a, b in zip(sampling, wall, strict=True)),
        "examples per CPU second of the step": size.batch / statistics.median(cpu),
        "against 100k rows": statistics.median(turn["large"][2] / turn["small"][2] for turn in turns),
        "peak memory / tables and moments": figures["peak memory GB"]
        / max(figures["tables and moments GB"], 0.01),
    }
    return report("big_tables", ratios, {}, figures=[figures], only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
