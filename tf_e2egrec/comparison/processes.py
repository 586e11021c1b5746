"""The runs of a comparison as processes, some side by side, with the time left."""

import datetime
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.memory_cap import MemoryCap
from tf_e2egrec.errors import E2EGRecError

_LOOK_EVERY_S = 0.2
_MISTAKE = "error: "
_LAST_LINES = 20


class PlannedRun(NamedTuple):
    """One model of one seed.

    Attributes:
      model: the text of its `ComparedModel`, tuned settings included; its files stand under it.
      seed: of weights and shuffling.
      graph: the name of the graph that it is trained beside.
      label: what reports call it: the text that the user gave.
    """

    model: str
    seed: int
    graph: str
    label: str


class _Running(NamedTuple):
    run: PlannedRun
    process: subprocess.Popen[bytes]
    started: float


def run_processes(
    directory: CompareDirectory,
    runs: Sequence[PlannedRun],
    jobs: int,
    console: Console,
    split: Literal["valid", "test"] = "test",
) -> None:
    """Run every run in a process of its own, `jobs` at a time where memory allows; the first failure stops the others.

    Args:
      directory: of the comparison.
      runs: what to train.
      jobs: the most processes side by side.
      console: where progress goes.
      split: what the trained models predict: `test` of a comparison, `valid` of its tuning.

    Raises:
      E2EGRecError: a run made a mistake that its sentence explains, or was killed.
      RuntimeError: a run failed in another way; the message ends with what it printed last.
    """
    waiting, running = deque(runs), list[_Running]()
    seconds: list[float] = []
    memory = MemoryCap(directory, jobs)

    def left() -> str:
        past = [time.monotonic() - one.started for one in running]
        return time_left(seconds, past, len(waiting), memory.limit)

    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns,
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(runs), left="")
        try:
            while waiting or running:
                while waiting and memory.allows([one.process.pid for one in running]):
                    running.append(_start(directory, waiting.popleft(), split))
                if waiting and (sentence := memory.news()):
                    console.print(f"  {sentence}", soft_wrap=True)
                progress.update(task, description=", ".join(map(_name, running)), left=left())
                time.sleep(_LOOK_EVERY_S)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    _require_success(directory, one)
                    seconds.append(time.monotonic() - one.started)
                    memory.look()
                    progress.advance(task)
                    console.print(
                        _done(one, seconds[-1], len(waiting) + len(running), left()),
                        soft_wrap=True,
                        markup=False,
                    )
        finally:
            for one in running:
                one.process.terminate()
            for one in running:
                one.process.wait()


def time_left(finished: Sequence[float], running: Sequence[float], waiting: int, jobs: int) -> str:
    """How long it will take, if the other runs take as long as the finished ones did on average.

    Args:
      finished: seconds of the finished runs.
      running: seconds that the present ones have run.
      waiting: runs that have not begun.
      jobs: runs side by side.
    """
    if not finished:
        return "time left: known after the first run"
    mean = sum(finished) / len(finished)
    remaining = sum(max(mean - past, 0.0) for past in running) + mean * waiting
    return f"{datetime.timedelta(seconds=round(remaining / max(1, min(jobs, len(running) + waiting))))} left"


def _name(one: _Running) -> str:
    return f"{one.run.model} seed {one.run.seed}"


def _done(one: _Running, seconds: float, others: int, left: str) -> str:
    return f"  {_name(one)}: {seconds:.0f} s, {others} to go" + (f", {left}" if others else "")


def _start(directory: CompareDirectory, run: PlannedRun, split: str) -> _Running:
    log = directory.log(run.model, run.seed)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tf_e2egrec.comparison.one_run"]
    command += ["--split", split, str(directory.root), run.graph, run.model, str(run.seed)]
    # Processes that share a GPU must not each claim the whole of its memory.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"} | os.environ
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    return _Running(run, process, time.monotonic())


def _require_success(directory: CompareDirectory, one: _Running) -> None:
    code, log = one.process.returncode, directory.log(one.run.model, one.run.seed)
    if code == 0:
        return
    name = _name(one)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    sentences = [line.removeprefix(_MISTAKE) for line in lines if line.startswith(_MISTAKE)]
    if code == 2 and sentences:
        raise E2EGRecError(f"{name}: {sentences[-1]}")
    if code < 0:
        raise E2EGRecError(
            f"{name} was killed by signal {-code}, perhaps for want of memory; lower --jobs or `training.batch_size`, then run "
            f"the same command to go on (its output is in {log})"
        )
    raise RuntimeError(
        f"{name} failed with exit code {code}; {log} ends with:\n" + "\n".join(lines[-_LAST_LINES:])
    )
