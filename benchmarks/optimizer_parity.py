"""Whether a model learns as well by the row-sparse Adam as by Adam, on real data.

    python -m benchmarks.optimizer_parity RUN_DIR [--model R5] [--seeds 3] [--epochs 1] [--batches N] [--quick] [--json]

RUN_DIR holds the subgraphs of a data set, such as MovieLens-1M (`e2egrec swing` and `e2egrec subgraphs` with configs/ml-1m.yaml). The
same model is trained from the same weights on the same batches twice per seed: the embedding tables by `RowSparseAdam`, and by Keras's
Adam, which decays the moments of every row at every step and moves it by them. Both without weight decay; all else is as in `e2egrec
train`. Printed is the AUC on the validation split,
its mean and standard deviation over the seeds, and the mean of the paired differences with its standard error.

`lost_auc_standard_errors` is by how many standard errors the row-sparse one is worse; the target is met within two, or within 0.001 of AUC.
`--batches` stops an epoch early; `--quick` takes one seed and five batches.
"""

import statistics
import sys
from pathlib import Path

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report
from tf_e2egrec.errors import E2EGRecError

TARGETS = {"lost_auc_standard_errors": Target("<=", 2.0)}
_INDIFFERENT = 0.001  # of AUC: what differs by less is the same


def main(argv: list[str] | None = None) -> int:
    """Train and report; 1 when the target is missed."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--model", default="R5")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batches", type=int)
    options = parser.parse_args(argv)
    pin_threads()
    seeds, batches = (1, 5) if options.quick else (options.seeds, options.batches)
    found: dict[str, list[float]] = {"row-sparse Adam": [], "Adam": []}
    for seed in range(seeds):
        for kind, values in found.items():
            try:
                found_auc = _validation_auc(options.run, options.model, seed, kind, options.epochs, batches)
            except E2EGRecError as error:
                parser.exit(2, f"error: {error}\n")
            values.append(found_auc)
            sys.stderr.write(f"seed {seed}, {kind}: AUC {values[-1]:.5f}\n")
    differences = [a - b for a, b in zip(*found.values(), strict=True)]
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5 if seeds > 1 else 0.0
    figures = [
        {
            "embedding tables by": kind,
            "AUC": round(statistics.mean(values), 5),
            "standard deviation": round(statistics.stdev(values), 5) if seeds > 1 else "",
            "seeds": seeds,
        }
        for kind, values in found.items()
    ]
    ratios = {
        "auc_difference": mean,
        "standard_error": error,
        "lost_auc_standard_errors": 0.0 if mean > -_INDIFFERENT else -mean / max(error, 1e-12),
    }
    return report(
        "optimizer_parity", ratios, {} if options.quick else TARGETS, figures=figures, only_json=options.json
    )


def _validation_auc(
    folder: Path, model: str, seed: int, kind: str, epochs: int, batches: int | None
) -> float:
    """AUC on the validation split after training by one of the optimisers."""
    import tensorflow as tf

    from tf_e2egrec.dataset.node_table import NodeTable
    from tf_e2egrec.stages.run_directory import RunDirectory
    from tf_e2egrec.stages.train import balancing_callbacks, new_network, read_subgraphs_manifest
    from tf_e2egrec.stages.training_data import TrainingData
    from tf_e2egrec.subgraphs.feature_table import FeatureTable
    from tf_e2egrec.training import FusedAdam, ReplicaGroup, RowSparseAdam

    run = RunDirectory(folder)
    description = run.description()
    spec = description.training
    subgraphs = read_subgraphs_manifest(run, description)
    tf.keras.utils.set_random_seed(seed)
    items, users = (
        NodeTable.read_parquet(run.subgraphs / "nodes" / f"{name}.parquet") for name in ("item", "user")
    )
    group = ReplicaGroup()
    network = new_network(run, description, model, items, users, group)
    network.compile(
        optimizer=FusedAdam(spec.learning_rate, jit_compile=False),
        embedding_optimizer=RowSparseAdam(spec.embedding_learning_rate)
        if kind == "row-sparse Adam"
        else tf.keras.optimizers.Adam(spec.embedding_learning_rate, jit_compile=False),
    )
    tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)
    data = TrainingData(run.subgraphs, description, subgraphs, tables, seed, group)
    steps = data.steps if batches is None else min(batches, data.steps)
    network.fit(
        data.for_fit((0, 0)),
        epochs=min(epochs, spec.epochs),
        steps_per_epoch=steps,
        verbose=0,
        callbacks=balancing_callbacks(description, network.variant),
    )
    validation = data.validation() if batches is None else data.validation().take(batches)
    return float(network.evaluate(validation, verbose=0, return_dict=True)["auc"])


if __name__ == "__main__":
    raise SystemExit(main())
