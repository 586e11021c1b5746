"""How fast the two outputs of the subgraphs stage become batches, whether training waits for them, and what they take on disk.

    python -m benchmarks.input [--quick] [--json]

One log (100k impressions with up to 10 recent items, 20k items with 150 neighbours each) is written with `graph.sampling.format:
records` and `table`, with 100 neighbours for each candidate and none, or 10, for each recent item. Passes over the training split take
turns, in batches of 2,048, shuffled and with neighbours, as `fit` gets them; the log has no item features. `resample: step` draws a
new sample for each batch. A compiled function takes the batches, as in `fit`. Rates are those of two cores, from CPU seconds:
2 / (CPU seconds per impression); the work runs in threads without Python's lock. The judged ones are those without neighbours of
recent items: one neighbourhood per impression. `limit` is the rate at which the same impressions are read and decoded in the same order,
without neighbours from tables and without a batch graph.

`waiting_share` is the share of wall time that a full model's training step over the table source, with new neighbours at each
step, waits for its next batch, which it takes inside the compiled step as `fit` does, on two cores; other work on the machine
counts. `input_against_step` is the CPU time of a batch's input over that of the step. `restore_seconds` is how long the first
batch takes at the end of an epoch beyond the time at its start.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report
from benchmarks.sampling import DESCRIPTION, FANOUT, NEIGHBOURS, _edges

TARGETS = {
    "graph_tensor_examples_per_second": Target(">=", 100_000),
    "seed_examples_per_second": Target(">=", 180_000),
    "waiting_share": Target("<", 0.05),
    "restore_seconds": Target("<", 1.0),
}
CORES, BATCH = 2, 2_048
_START, _DAY = 1_577_836_800_000, 86_400_000  # 2020-01-01


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when a target is missed."""
    options = benchmark_parser(__doc__).parse_args(argv)
    pin_threads(CORES)
    impressions, turns = (5_000, 1) if options.quick else (100_000, 4)
    with tempfile.TemporaryDirectory() as folder:
        written = {fanout: _write(impressions, Path(folder), fanout) for fanout in (0, 10)}
        figures, rates = _measured_passes(written, turns)
        description, directory, manifest = written[0]["table"]
        steps = -(-manifest.counters["impressions_train"] // BATCH)
        waiting, against = _waiting(description, directory, steps)
        restored = _restored(description, directory, steps)
    ratios = {
        "graph_tensor_examples_per_second": rates["records, 0, never"],
        "seed_examples_per_second": rates["table, 0, step"],
        "waiting_share": waiting,
        "input_against_step": against,
        "restore_seconds": restored,
    }
    targets = {} if options.quick else TARGETS
    return report("input", ratios, targets, figures=figures, only_json=options.json)


def _measured_passes(written: dict[int, Any], turns: int) -> tuple[list[Any], dict[str, float]]:
    """Rows of the table, and the impressions per second of two cores, by `format, neighbours of a recent item, resample`."""
    passes: dict[str, tuple[Callable[[], Any], Callable[[], Any], Any]] = {}
    for fanout, made in written.items():
        for source, resample in (("records", "never"), ("table", "never"), ("table", "step")):
            description, directory, manifest = made[source]
            one = _pass_over(description, directory, resample), _reading(description, directory), manifest
            passes[f"{source}, {fanout}, {resample}"] = one
    taken: dict[str, list[list[float]]] = {name: [] for name in passes}
    for _ in range(turns):
        for name, (run, read, _) in passes.items():
            taken[name].append([_cpu_seconds(run), _cpu_seconds(read)])
    figures, rates = [], {}
    for name, (_, _, manifest) in passes.items():
        rows = CORES * manifest.counters["impressions_train"]
        seconds = [one for one, _ in taken[name]]
        rates[name] = rows / min(seconds)
        files = [entry for entries in manifest.details["files"].values() for entry in entries]
        figures.append(
            {
                "format, neighbours of recent items, resample": name,
                "impressions/s": round(rates[name]),
                "slowest turn": round(rows / max(seconds)),
                "limit": round(rows / min(one for _, one in taken[name])),
                "bytes per impression": round(sum(e["bytes"] for e in files) / manifest.counters["records"]),
                "bytes per item of the table": round(
                    sum(one["bytes"] for one in manifest.details["tables"])
                    / max(sum(one["items"] for one in manifest.details["tables"]), 1)
                ),
            }
        )
    return figures, rates


def _cpu_seconds(action: Callable[[], Any]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def _reading(description: Any, directory: Path) -> Callable[[], None]:
    """A function that reads and decodes the impressions once, shuffled."""
    from tf_e2egrec.subgraphs.epoch_order import EpochOrder
    from tf_e2egrec.subgraphs.impression_records import ImpressionRecords
    from tf_e2egrec.subgraphs.subgraph_dataset import record_files

    has_swing = description.graph.sampling.has_neighbours_in_records
    records = ImpressionRecords(record_files(directory, "train"), description, has_swing)

    def run() -> None:
        for start in range(0, len(records), BATCH):
            records.read(EpochOrder(len(records), 0).take(start, start + BATCH))

    return run


def _write(impressions: int, folder: Path, recent_fanout: int) -> dict[str, tuple[Any, Path, Any]]:
    """Format -> (description, directory of the subgraphs, manifest)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from beam_pipelines.subgraphs import run_subgraphs
    from beam_pipelines.swing import swing_fingerprint
    from tf_e2egrec.dataset.artefact import Manifest, write_manifest
    from tf_e2egrec.dataset.description import parse_description

    rng = np.random.default_rng(1)
    items = max(impressions // 5, 2 * NEIGHBOURS)
    log = {
        "u": rng.integers(0, impressions // 20, impressions),
        "i": (items * rng.random(impressions) ** 3).astype(np.int64),  # some items are popular
        "t": _START + rng.integers(0, 10 * _DAY, impressions),
        "c": rng.random(impressions) < 0.5,
    }
    pq.write_table(pa.table(log), folder / "log.parquet")
    source, target, weight = _edges(items, rng)
    edges = folder / "graph" / "edges" / "snapshot=0"
    edges.mkdir(parents=True, exist_ok=True)
    columns = {"source": source, "target": target, "weight": weight}
    pq.write_table(pa.table(columns), edges / "shard-0.parquet")
    made = {}
    for format in ("records", "table"):
        text = DESCRIPTION.format(fanout=FANOUT, neighbours=NEIGHBOURS)
        text = text.replace("recent_fanout: 0", f"recent_fanout: {recent_fanout}, format: {format}")
        description = parse_description(text, "benchmark").with_data_root(str(folder))
        fingerprint = swing_fingerprint(description)
        details = {"windows": {"0": "0"}}
        write_manifest(
            folder / "graph",
            Manifest(stage="swing", configuration={}, fingerprint=fingerprint, inputs="", details=details),
        )
        made[format] = (
            description,
            folder / f"{format}-{recent_fanout}",
            run_subgraphs(description, folder / "graph", folder / f"{format}-{recent_fanout}"),
        )
    return made


def _dataset(description: Any, directory: Path, resample: str) -> Callable[[Any], Any]:
    """A function of the epoch's seed: the batches of the training split."""
    from tf_e2egrec.dataset.node_table import NodeTable
    from tf_e2egrec.subgraphs.feature_table import FeatureTable
    from tf_e2egrec.subgraphs.impression_source import impressions

    training = description.training.model_copy(update={"resample": resample, "batch_size": BATCH})
    description = description.model_copy(update={"training": training})
    tables = [
        FeatureTable(NodeTable.read_parquet(directory / "nodes" / f"{name}.parquet"), [])
        for name in ("item", "user")
    ]
    return lambda seed, skip=0: impressions(directory, "train", description, *tables, seed=seed, skip=skip)


def _pass_over(description: Any, directory: Path, resample: str) -> Callable[[], None]:
    """A function that takes every batch of the training split once."""
    import tensorflow as tf

    batches = _dataset(description, directory, resample)(0)

    @tf.function
    def take(iterator: Any) -> Any:
        """Outside of compiled functions, each GraphTensor is put together by thousands of calls of Python."""
        return next(iterator)[1]["reward"]

    def run() -> None:
        iterator = iter(batches)
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                take(iterator)

    run()  # traces and compiles
    return run


def _waiting(description: Any, directory: Path, batch_count: int) -> tuple[float, float]:
    """(share of wall time that training waits for data, CPU time of the input over that of the step)."""
    import numpy as np
    import tensorflow as tf

    from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
    from tf_e2egrec.stages.train import compile_model

    batches = _dataset(description, directory, "step")(0)
    inputs = ModelInputs.from_description(
        description, 20_000, 5_000, {"item": {}, "user": {}, "context": {"hour_of_day": 24}}
    )
    model = E2EGRec(inputs, description.model, variant_named("R5"))
    model.item_encoder.id_lookup.set_keys(np.arange(20_000))
    model.user_encoder.id_lookup.set_keys(np.arange(5_000))
    model.context_embedding.set_vocabulary("hour_of_day", np.arange(24))
    compile_model(model, description)
    model.build_optimizers()
    spec = batches.element_spec

    @tf.function
    def take(iterator: Any) -> Any:
        """As plain tensors: between compiled functions, a GraphTensor is put together by thousands of calls of Python."""
        return tf.nest.flatten(next(iterator), expand_composites=True)

    @tf.function(input_signature=[tf.nest.flatten(spec, expand_composites=True)])
    def step(tensors: Any) -> Any:
        return model.train_step(tf.nest.pack_sequence_as(spec, tensors, expand_composites=True))["loss"]

    @tf.function
    def waiting_step(iterator: Any) -> Any:
        """Takes the next batch inside the compiled step, as `fit` does; seconds until it was there."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            tensors = tf.nest.flatten(next(iterator), expand_composites=True)
        with tf.control_dependencies(tensors):
            after = tf.timestamp()
        with tf.control_dependencies([after]):  # else the step may begin before the clock is read
            tensors = [tf.identity(one) for one in tensors]
        model.train_step(tf.nest.pack_sequence_as(spec, tensors, expand_composites=True))
        return after - before

    iterator = iter(batches)
    held = [take(iterator) for _ in range(min(batch_count, 4))]
    step(held[0]).numpy()
    of_step = min(_cpu_seconds(lambda batch=batch: step(batch).numpy()) for batch in held * 3)
    of_input = _cpu_seconds(_pass_over(description, directory, "step")) / batch_count
    waiting_step(iter(batches)).numpy()  # traces
    iterator = iter(batches)
    waiting_step(iterator).numpy()
    started = time.perf_counter()
    waited = sum(float(waiting_step(iterator)) for _ in range(min(batch_count - 1, 40)))
    return waited / (time.perf_counter() - started), of_input / of_step


def _restored(description: Any, directory: Path, steps: int) -> float:
    """Seconds until the last batch of an epoch is there, beyond those until the first one is."""
    from tf_e2egrec.training import epoch_dataset

    def first_batch(start: tuple[int, int]) -> float:
        dataset = epoch_dataset(_dataset(description, directory, "step"), 0, 1, start)
        started = time.perf_counter()
        next(iter(dataset))
        return time.perf_counter() - started

    ends, begins = ([first_batch((0, step)) for _ in range(3)] for step in (steps - 1, 0))
    return max(statistics.median(ends) - statistics.median(begins), 0.0)


if __name__ == "__main__":
    raise SystemExit(main())
