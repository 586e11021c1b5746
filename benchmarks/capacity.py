"""How many machines a day's impressions need: memory, network and step time on N workers, and a simulation of what that rests on.

    python -m benchmarks.capacity [--seconds-per-example S] [--cores C] [--memory-gb M] [--network-gbit G] [--quick] [--json]

The plan: users' and items' rows with their two moments are spread over the workers by a hash; each worker holds the dense weights. In a
step every worker takes a batch, fetches the distinct rows that others hold, computes, returns their gradients, and all add up the
dense gradients in a ring. Nothing overlaps, so that the times add up.

    memory per worker  (users + items) * dim * 4 B * 3 / N  +  neighbour table / N
    rows per batch     R = sum over rows of 1 - (1 - p)^draws, with p by Zipf's law for items, uniform for users
    network per step   2 * R * (1 - 1 / N) * dim * 4 B  +  2 * (1 - 1 / N) * dense * 4 B
    step               batch * seconds per example / cores * (1 + cv * E[max of N normals])  +  network per step / bandwidth

`seconds per example` is the CPU time of the full model's step, `R5` at 100k_k100 in `benchmarks.train_step`, and is what a core takes.
The simulation draws the batches of up to 16 workers and counts the rows that travel, and draws the workers' times; the ratios are
what the model says over what was counted. Neither a network nor several machines were measured.
"""

import math
import sys
from typing import Any, NamedTuple

from benchmarks.reporting import Target, benchmark_parser, report

TARGETS = {
    "rows fetched: model / simulation, worst": Target("<=", 1.05),
    "slowest worker: model / simulation, worst": Target("<=", 1.05),
}
GB = 1e9


class Plan(NamedTuple):
    """What is to be trained, and on what.

    Attributes:
      users, items, dim: of the tables.
      impressions: per day.
      neighbours: kept per item of the table (12 bytes each, and 16 per item).
      fanout, recent: neighbours of a candidate; recent items of an impression.
      batch: impressions per worker and step.
      dense: weights outside of the tables.
      seconds_per_example: of one core.
      cores, memory_gb, network_gbit: of a worker.
      variation: standard deviation of a worker's step over its mean.
    """

    users: int = 1_000_000_000
    items: int = 100_000_000
    dim: int = 64
    impressions: int = 10_000_000_000
    neighbours: int = 200
    fanout: int = 100
    recent: int = 5
    batch: int = 4_096
    dense: int = 250_000
    seconds_per_example: float = 30e-6
    cores: int = 16
    memory_gb: float = 64.0
    network_gbit: float = 10.0
    variation: float = 0.05


def zipf_distinct(rows: int, draws: float) -> float:
    """Expected number of distinct items among so many draws by Zipf's law; sums over slices of like probability."""
    import numpy as np

    edges = np.unique(np.geomspace(1, rows + 1, 20_000).astype(np.int64))
    total = math.log(rows) + 0.5772
    middle = (edges[:-1] + edges[1:] - 1) / 2
    never = np.exp(draws * np.log1p(-1 / (total * middle).clip(1.0001)))
    return float(np.sum((1 - never) * np.diff(edges)))


def uniform_distinct(rows: int, draws: float) -> float:
    """The same of uniform draws."""
    return rows * -math.expm1(draws * math.log1p(-1 / rows))


def rows_of_batch(plan: Plan) -> float:
    """Distinct rows of items and users that a worker's batch needs: candidates, recent items, and candidates' neighbours."""
    candidates = zipf_distinct(plan.items, plan.batch)
    draws = plan.batch * (1 + plan.recent) + candidates * plan.fanout
    return zipf_distinct(plan.items, draws) + uniform_distinct(plan.users, plan.batch)


def slowest(workers: int, variation: float) -> float:
    """The mean of the slowest of so many normal times of mean 1 (Blom's approximation)."""
    from scipy.stats import norm

    return 1 + variation * float(norm.ppf((workers - 0.375) / (workers + 0.25))) if workers > 1 else 1.0


def on_workers(plan: Plan, workers: int) -> dict[str, Any]:
    """What N workers need and reach."""
    remote = 1 - 1 / workers
    tables = (plan.users + plan.items) * plan.dim * 4 * 3
    graph = plan.items * (16 + 12 * plan.neighbours)
    sent = 2 * remote * 4 * (rows_of_batch(plan) * plan.dim + plan.dense)
    compute = plan.batch * plan.seconds_per_example / plan.cores * slowest(workers, plan.variation)
    network = sent / (plan.network_gbit * GB / 8)
    rate = workers * plan.batch / (compute + network)
    memory = (tables + graph) / workers / GB
    return {
        "workers": workers,
        "memory per worker GB": round(memory, 1),
        "network per step MB": round(sent / 1e6, 1),
        "compute ms": round(1e3 * compute, 1),
        "network ms": round(1e3 * network, 1),
        "impressions/s": round(rate),
        "hours per day's impressions": round(plan.impressions / rate / 3600, 2),
        "fits": "yes" if memory <= plan.memory_gb else "no",
    }


def simulated(plan: Plan, workers: int, steps: int) -> tuple[float, float]:
    """(rows that a worker fetches from others, time of the slowest over the mean), counted in drawn batches."""
    import numpy as np

    from benchmarks.step_workload import popular

    random = np.random.default_rng(workers)
    fetched = []
    for _ in range(steps):
        candidate = popular(plan.items, plan.batch, random)
        others = popular(plan.items, plan.batch * plan.recent, random)
        neighbours = popular(plan.items, len(np.unique(candidate)) * plan.fanout, random)
        items = np.unique(np.r_[candidate, others, neighbours])
        users = np.unique(random.integers(0, plan.users, plan.batch)) + plan.items
        # An odd multiplier modulo 2^64 spreads rows over workers.
        holder = (np.r_[items, users].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        fetched.append(np.count_nonzero(holder % np.uint64(workers) != 0))
    times = random.normal(1, plan.variation, (20_000, workers)).max(axis=1)
    return float(np.mean(fetched)), float(times.mean())


def main(argv: list[str] | None = None) -> int:
    """Compute, simulate and report; 1 where the simulation disagrees."""
    parser = benchmark_parser(__doc__)
    defaults = Plan()
    parser.add_argument("--seconds-per-example", type=float, default=defaults.seconds_per_example)
    parser.add_argument("--cores", type=int, default=defaults.cores)
    parser.add_argument("--memory-gb", type=float, default=defaults.memory_gb)
    parser.add_argument("--network-gbit", type=float, default=defaults.network_gbit)
    arguments = parser.parse_args(argv)
    plan = defaults._replace(
        seconds_per_example=arguments.seconds_per_example,
        cores=arguments.cores,
        memory_gb=arguments.memory_gb,
        network_gbit=arguments.network_gbit,
    )
    small = plan._replace(users=2_000_000, items=1_000_000)
    off_rows, off_times, checks = [], [], []
    for workers in (2, 4) if arguments.quick else (2, 4, 8, 16):
        fetched, slow = simulated(small, workers, 3 if arguments.quick else 10)
        expected = rows_of_batch(small) * (1 - 1 / workers)
        off_rows.append(max(expected / fetched, fetched / expected))
        off_times.append(
            max(slowest(workers, plan.variation) / slow, slow / slowest(workers, plan.variation))
        )
        checks.append(
            {
                "workers": f"{workers}, simulated",
                "rows fetched": round(fetched),
                "rows by the model": round(expected),
            }
        )
    figures = [on_workers(plan, workers) for workers in (1, 8, 16, 32, 64, 128)] + checks
    ratios = {
        "rows fetched: model / simulation, worst": max(off_rows),
        "slowest worker: model / simulation, worst": max(off_times),
    }
    return report("capacity", ratios, TARGETS, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
