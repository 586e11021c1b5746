"""What every benchmark shares: timing, pinned threads, a table, and one JSON line at the end."""

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PINNED_THREADS = 2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
}


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound that a ratio has to keep.

    Attributes:
      relation: `<=`, `<` or `>=`.
      bound: the number on the right.
    """

    relation: str
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether the value keeps the bound."""
        return _RELATIONS[self.relation](value, self.bound)


def benchmark_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that every benchmark has: `--quick` and `--json`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? No target is checked")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser


def pin_threads(threads: int = PINNED_THREADS) -> int:
    """Hold this process to a number of threads and cores; call it before libraries are imported that read the environment.

    Returns:
      the number of threads; fewer than asked for where the machine has fewer cores.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[:threads]
        os.sched_setaffinity(0, cores)
        threads = len(cores)
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    return threads


def shortest(action: Callable[[], Any], repeats: int = 3) -> float:
    """Wall seconds of the fastest of several runs: what is slower than that was something else's work."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def shortest_of_each(actions: Mapping[str, Callable[[], Any]], repeats: int = 3) -> dict[str, float]:
    """Wall seconds of the fastest run of each action; they take turns, so that a busy spell does not hit one alone."""
    runs = [{name: shortest(action, 1) for name, action in actions.items()} for _ in range(repeats)]
    return {name: min(run[name] for run in runs) for name in actions}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
        )
    described: dict[str, Any] = {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        described["gpu"] = found.splitlines()[0] if found else None
    return described


def report(
    name: str,
    ratios: Mapping[str, float],
    targets: Mapping[str, Target],
    *,
    figures: Sequence[Mapping[str, Any]] = (),
    only_json: bool = False,
) -> int:
    """Print a table and, as the last line, `{"name", "machine", "ratios", "targets", "met", "figures"}`.

    Args:
      name: of the benchmark.
      ratios: the figures that are judged, by name.
      targets: bounds by the name of their ratio; a target whose ratio was not measured is not met.
      figures: rows of everything measured, for the table and the JSON line.
      only_json: leave the table out.

    Returns:
      the exit code: 0 where all targets are met, else 1.
    """
    met = all(key in ratios and target.is_met(ratios[key]) for key, target in targets.items())
    if not only_json:
        console = Console()
        for table in _tables(name, ratios, targets, figures):
            console.print(table)
    line = {
        "name": name,
        "machine": machine(),
        "ratios": {key: round(value, 4) for key, value in ratios.items()},
        "targets": {key: f"{target.relation} {target.bound:g}" for key, target in targets.items()},
        "met": met,
        "figures": [dict(row) for row in figures],
    }
    print(json.dumps(line))
    sys.stdout.flush()
    return 0 if met else 1


def _tables(
    name: str,
    ratios: Mapping[str, float],
    targets: Mapping[str, Target],
    figures: Sequence[Mapping[str, Any]],
) -> Iterator[Table]:
    if figures:
        columns = list(dict.fromkeys(key for row in figures for key in row))
        table = Table(*columns, title=name)
        for row in figures:
            table.add_row(*(_shown(row.get(column, "")) for column in columns))
        yield table
    table = Table("ratio", "value", "target", "met")
    for key, value in ratios.items():
        target = targets.get(key)
        verdict = "" if target is None else ("yes" if target.is_met(value) else "NO")
        table.add_row(
            key, _shown(value), "" if target is None else f"{target.relation} {target.bound:g}", verdict
        )
    yield table


def _shown(value: Any) -> str:
    return (
        f"{value:,.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
