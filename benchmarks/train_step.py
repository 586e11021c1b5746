"""A training step: the full model against the same ranker without a graph, and what the machine would allow.

    python -m benchmarks.train_step [--exponent 1.0] [--quick] [--json]

Batches of 4,096 impressions with five recent items each, embeddings of 64, eight side features of the items, gate and attention; items
and neighbours by Zipf's law, or a power law of another exponent, to which the ratios are sensitive: the flatter it is, the more distinct
neighbours a batch has. R0 is the ranker without graph, R1 has X in the graph's place, R5 is the full model with GFAE and
GradNorm; R0 and R1 are given batches without neighbours. All steps of a size take turns in one process on one thread, in CPU
seconds; a ratio is the median of the turns' ratios, and `spread` half of the distance between its quartiles. The last size, which has
no target, gives each recent item ten neighbours, too: the default of `graph.sampling`.

`limit` is roughly what the step could not go below on this machine: the bytes that are gathered from and scattered to tables and
along edges, at the rate at which `tf.gather` copies rows of 256 bytes, and the products of dense layers, forwards and backwards, at the
rate of `tf.matmul`. Element-wise operations and what starts the operations are not in it; rows are drawn uniformly for the rate, whereas
those of popular neighbours may be found in the cache, so that a step of many edges may come close.

`optimizer_share_1m` is the time that `RowSparseAdam` takes to update a batch's rows in a table of a million items, against R0's
step; the table has Keras's Adam for comparison.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report
from benchmarks.step_workload import (
    FEATURE_WIDTH,
    FEATURES,
    NO_NEIGHBOURS,
    RECENT,
    Size,
    make_batch,
    make_model,
    make_step,
)

TARGETS = {
    "e2e_vs_r1_20k_k20": Target("<=", 1.20),
    "e2e_vs_r0_20k_k20": Target("<=", 2.9),
    "e2e_vs_r1_100k_k20": Target("<=", 1.40),
    "e2e_vs_r0_100k_k20": Target("<=", 3.5),
    "e2e_vs_r1_100k_k100": Target("<=", 1.9),
    "e2e_vs_r0_100k_k100": Target("<=", 4.6),
    "optimizer_share_1m": Target("<=", 0.2),
}
SIZES = {
    "20k_k20": Size(20_000, 20),
    "100k_k20": Size(100_000, 20),
    "100k_k100": Size(100_000, 100),
    "100k_k20_recent10": Size(100_000, 20, recent_fanout=10),
}
MODELS = ("R0", "R1", "R5")
TURNS, WARM_TURNS = 25, 3
TABLE_ROWS = 1_000_000


def cpu_seconds(action: Callable[[], Any]) -> float:
    """Seconds of this process's CPU time: what elapses where nothing else runs."""
    started = time.process_time()
    action()
    return time.process_time() - started


def in_turns(actions: Mapping[str, Callable[[], Any]], turns: int) -> dict[str, list[float]]:
    """CPU seconds of each turn of each action; they alternate, after a few turns that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(WARM_TURNS + turns):
        for name, action in actions.items():
            seconds = cpu_seconds(action)
            if turn >= WARM_TURNS:
                taken[name].append(seconds)
    return taken


def ratio_of(taken: Mapping[str, list[float]], one: str, other: str) -> tuple[float, float]:
    """Median of the turns' ratios, and half of the distance between their quartiles."""
    ratios = [a / b for a, b in zip(taken[one], taken[other], strict=True)]
    if len(ratios) < 2:
        return ratios[0], 0.0
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, (high - low) / 2


def measured_rates(dim: int) -> tuple[float, float]:
    """(bytes per second that rows are gathered at, floating-point operations per second of a matrix product)."""
    import tensorflow as tf

    table = tf.random.stateless_normal((100_000, dim), (1, 2))
    rows = tf.random.stateless_uniform((50_000,), (3, 4), 0, 100_000, tf.int32)
    left = tf.random.stateless_normal((4_096, 3 * dim), (5, 6))
    right = tf.random.stateless_normal((3 * dim, 3 * dim), (7, 8))
    gather = tf.function(lambda: tf.gather(table, rows))
    product = tf.function(lambda: tf.matmul(left, right))
    taken = {name: min(times) for name, times in in_turns({"g": gather, "p": product}, 15).items()}
    return 50_000 * dim * 4 / taken["g"], 2 * 4_096 * (3 * dim) ** 2 / taken["p"]


def limit_of(model: Any, graph: Any, size: Size, rates: tuple[float, float]) -> float:
    """Seconds that a step's gathers, scatters and matrix products take at the measured rates."""
    import tensorflow as tf

    count = {name: int(graph.node_sets[name].total_size) for name in ("item", "seed", "user")}
    placed = int(tf.reduce_max(graph.node_sets["seed"]["item"])) + 1
    # A table's rows are read for the model; gradient, value and moments are read, the latter three also written.
    table_bytes = 8 * 4 * (count["item"] * (size.dim + FEATURES * FEATURE_WIDTH) + count["user"] * size.dim)
    width = model.item_encoder.output_dim
    edges = int(graph.edge_sets["swing"].total_size) * width
    means = {"none": 1, "features": 2, "graph": 3}[model.variant.token]  # of the ranker's items, of Z, of X
    edge_bytes = 2 * 4 * (edges + means * RECENT * size.batch * size.dim)
    rows = {"ranker_item": placed, "gnn_input": placed + count["seed"] * (model.variant.token == "graph")}
    rows |= dict.fromkeys(
        ("query", "key", "value", "output"), size.batch * (2 + (model.variant.token != "none"))
    )
    operations = sum(
        6 * rows.get(layer.name, size.batch) * int(tf.size(layer.kernel))
        for layer in model._flatten_layers()
        if isinstance(layer, tf.keras.layers.Dense)
    )
    return (table_bytes + edge_bytes) / rates[0] + operations / rates[1]


def measure(
    name: str, size: Size, turns: int, rates: tuple[float, float]
) -> tuple[dict[str, float], list[Any], float]:
    """Ratios, rows of the table, and the CPU seconds of R0's step, of one size."""
    steps, limits = {}, {}
    for model_name in MODELS:
        model = make_model(model_name, size)
        batch = make_batch(size, model_name not in NO_NEIGHBOURS, seed=0)
        steps[model_name] = make_step(model, batch)
        limits[model_name] = limit_of(model, batch[0], size, rates)
    taken = in_turns(steps, turns)
    ratios, spread = {}, {"R0": 0.0}
    ratios[f"e2e_vs_r1_{name}"], _ = ratio_of(taken, "R5", "R1")
    ratios[f"e2e_vs_r0_{name}"], spread["R5"] = ratio_of(taken, "R5", "R0")
    _, spread["R1"] = ratio_of(taken, "R1", "R0")
    figures = [
        {
            "size": name,
            "step": model_name,
            "CPU ms": round(1e3 * statistics.median(taken[model_name]), 1),
            "limit ms": round(1e3 * limits[model_name], 1),
            "against R0": round(ratio_of(taken, model_name, "R0")[0], 3),
            "spread": round(spread[model_name], 3),
            "examples/s": round(size.batch / statistics.median(taken[model_name])),
        }
        for model_name in MODELS
    ]
    return ratios, figures, statistics.median(taken["R0"])


def optimizer_times(size: Size, rows: int, turns: int) -> dict[str, list[float]]:
    """CPU seconds per update of a batch's rows in a table of so many, by `RowSparseAdam` and by Keras's Adam."""
    import tensorflow as tf

    from tf_e2egrec.training import RowSparseAdam

    graph, _ = make_batch(size._replace(items=rows), False, seed=0)
    ids = graph.node_sets["item"]["#id"]
    values = tf.random.stateless_normal((tf.size(ids), size.dim), (1, 2))
    gradient = tf.IndexedSlices(values, ids, tf.constant([rows, size.dim], tf.int64))

    def update(optimizer: Any) -> Callable[[], Any]:
        table = tf.Variable(tf.random.stateless_normal((rows, size.dim), (3, 4)))
        optimizer.build([table])
        step = tf.function(lambda: optimizer.apply_gradients([(gradient, table)]))
        return lambda: step().numpy()

    keras = tf.keras.optimizers.Adam(1e-3, jit_compile=False)
    taken = in_turns({"RowSparseAdam": update(RowSparseAdam(1e-3))}, turns)
    return taken | in_turns({"Keras's Adam": update(keras)}, min(turns, 3))


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--exponent", type=float, default=1.0, help="of the power law of the items")
    arguments = parser.parse_args(argv)
    threads = pin_threads(1)
    import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

    # isort: split
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    sizes, turns, rows = SIZES, TURNS, TABLE_ROWS
    if arguments.quick:
        sizes, turns, rows = {"quick": Size(500, 5, 2, batch=64, dim=16)}, 2, 2_000
    sizes = {name: size._replace(exponent=arguments.exponent) for name, size in sizes.items()}
    rates = measured_rates(next(iter(sizes.values())).dim)
    ratios: dict[str, float] = {}
    figures: list[Any] = []
    for name, size in sizes.items():
        of_size, rows_of_table, of_r0 = measure(name, size, turns, rates)
        ratios |= of_size
        figures += rows_of_table
    for name, taken in optimizer_times(size, rows, turns).items():
        seconds = statistics.median(taken)
        figures.append(
            {
                "size": f"{rows:,} rows",
                "step": name,
                "CPU ms": round(1e3 * seconds, 1),
                "against R0": round(seconds / of_r0, 3),
            }
        )
        ratios.setdefault("optimizer_share_1m", seconds / of_r0)
    figures.append(
        {
            "step": "measured rates",
            "gathered GB/s": round(rates[0] / 1e9, 2),
            "GFLOP/s": round(rates[1] / 1e9, 1),
        }
    )
    targets = {} if arguments.quick else TARGETS
    return report("train_step", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
