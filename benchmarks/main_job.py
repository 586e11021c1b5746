"""The main job from logs to an exported model: wall time, its share and peak memory of every stage.

    python -m benchmarks.main_job [--quick] [--json] [--data DATASET.yaml] [--models R0,R5]

Each stage runs as the command that a user would type, in a process of its own, so that every stage pays its own
start-up (`e2egrec run` pays it once). Without `--data`, the generator's default data set is made first (which does not
count) in a temporary folder, where the run is made, too. The target holds for that data set on two cores. `ratios`
holds each stage's share of the total and `total_seconds`; memory is the largest resident set of the stage's process.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report

TARGETS = {"total_seconds": Target("<=", 600.0)}
QUICK = ("--users", "300", "--videos", "150", "--days", "6", "--impressions", "8000")
_MIB_PER_UNIT = 1 / (1 << 20) if sys.platform == "darwin" else 1 / (1 << 10)  # of ru_maxrss


def run_stage(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run one command.

    Returns:
      Wall seconds and peak MiB.

    Raises:
      SystemExit: the command failed; its output goes to stderr.
    """
    log = folder / "stage.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tf_e2egrec.cli.main", *arguments], stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
        sys.exit(f"`e2egrec {' '.join(arguments)}` ended with exit code {process.returncode}")
    return seconds, usage.ru_maxrss * _MIB_PER_UNIT


def stages(dataset: str, run: str, models: list[str]) -> dict[str, list[str]]:
    """The command of each stage, by its name in the table."""
    return {
        "swing": ["swing", dataset, "--out", run],
        "subgraphs": ["subgraphs", dataset, "--out", run],
        **{f"train {name}": ["train", dataset, "--out", run, "--models", name] for name in models},
        "evaluate": ["evaluate", run],
        "export": ["export", run, "--model", models[-1]],
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, report, and return 0 where the target is met (always with `--quick` or `--data`)."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", help="a description file; the generated data set if absent")
    parser.add_argument("--models", default="R0,R5", help="models to train, separated by commas")
    arguments = parser.parse_args(argv)
    pin_threads()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = arguments.data
        if dataset is None:
            run_stage(["synthesize", str(folder / "data"), *(QUICK if arguments.quick else ())], folder)
            dataset = str(folder / "data" / "dataset.yaml")
        commands = stages(dataset, str(folder / "run"), arguments.models.split(","))
        measured = {stage: run_stage(command, folder) for stage, command in commands.items()}
    total = sum(seconds for seconds, _ in measured.values())
    ratios = {f"{stage} / total": seconds / total for stage, (seconds, _) in measured.items()}
    figures = [
        {"stage": stage, "wall s": round(seconds, 1), "share": round(seconds / total, 3), "peak MiB": round(mebibytes)}
        for stage, (seconds, mebibytes) in measured.items()
    ]  # fmt: skip
    is_default = arguments.data is None and not arguments.quick
    targets = TARGETS if is_default else {}
    ratios["total_seconds"] = total
    return report("main_job", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
