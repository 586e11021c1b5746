"""Every command in the README, the guides, the notebooks' text, the head of each config and every `--help` is run, small.

What is not run stands in `not_run.py` with its reason; a command that is in neither fails here.
"""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.job import e2egrec
from tests.docs.documented_command import DocumentedCommand, documented_commands
from tests.docs.not_run import NOT_RUN, NOT_RUN_FAMILIES, RUN_ELSEWHERE, reason
from tests.docs.pages import ROOT
from tests.docs.small_world import SIZES, SmallWorld
from tf_e2egrec.cli import explore_command
from tf_e2egrec.comparison import one_run, processes
from tf_e2egrec.synthetic import short_video_description

COMMANDS = documented_commands()
DOCUMENTS = list(dict.fromkeys(one.document for one in COMMANDS))
BIN = Path(sys.executable).parent
SMALL_MODEL = "model: {{dim: 8, heads: 2, tower_units: [8]}}\n"
ARGUMENTS = {  # of programs that have no --quick, or that a sentence names without arguments
    "benchmarks.cold_items": [],
    "benchmarks.optimizer_parity": ["--help"],  # it needs a run directory
    "beam_pipelines.sample_unigraph": ["--help"],
}


def runs_here(command: DocumentedCommand) -> bool:
    return reason(command.text) is None and not (command.in_block and command.document in RUN_ELSEWHERE)


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Small models for generated data; the runs of a comparison in this process; no command waits for Ctrl-C."""

    def run_processes(directory: object, runs: list, jobs: int, console: object, split: str = "test") -> None:
        make = one_run.run_one if split == "test" else one_run.validate_one
        for one in runs:
            make(directory, directory.run(one.graph), one.model, one.seed)

    def ask_once() -> None:
        url = re.findall(r"http://\S+", sys.stdout.getvalue())[-1]
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200

    tail = short_video_description._TAIL.replace("epochs: 3 ", "epochs: 1 ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "run_processes", run_processes)
        patch.setattr(one_run, "seconds_per_step", lambda *_: 0.1)
        patch.setattr(short_video_description, "_TAIL", tail + SMALL_MODEL)
        patch.setattr(explore_command, "wait", ask_once)
        patch.setattr("serving.development_server.development_server.wait_for_interrupt", lambda _: None)
        yield


@pytest.fixture(scope="module")
def made(small: None, tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return SmallWorld.make(tmp_path_factory.mktemp("documents") / "world", tmp_path_factory.getbasetemp())


@pytest.fixture
def world(made: SmallWorld, tmp_path: Path) -> Iterator[SmallWorld]:
    copy = made.copy(tmp_path / "world")
    with contextlib.chdir(copy.root):
        yield copy
    copy.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "document", [one for one in DOCUMENTS if any(runs_here(c) for c in COMMANDS if c.document == one)]
)
def test_the_commands_of_a_document_run(document: str, world: SmallWorld) -> None:
    failed = []
    for command in dict.fromkeys(one for one in COMMANDS if one.document == document and runs_here(one)):
        said = run(command, world)
        if said is not None:
            failed.append(f"{command}: {said}")
    assert not failed, "\n\n".join(failed)


def run(command: DocumentedCommand, world: SmallWorld) -> str | None:
    """Run a command of a document; what it said where it failed."""
    found = world.translated(re.sub(r"^([A-Z_]+=\S+ )+", "", command.text))
    print(command, "->", *found)
    if found[0] == "e2egrec" and "--show-completion" not in found:
        done = e2egrec(*found[1:])
        return None if done.code == 0 else done.err + done.out[-2000:]
    if found == ["mkdocs", "serve"]:
        return None if site_is_served() else "it did not answer"
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        in_a_process(found),
        capture_output=True,
        text=True,
        check=False,
        cwd=world.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
    )
    return None if ended.returncode == 0 else (ended.stderr + ended.stdout)[-3000:]


def in_a_process(found: list[str]) -> list[str]:
    """The words of another program than `e2egrec`, small."""
    match found:
        case ["python", "-m", module, *rest]:
            if module == "build":
                rest = ["--no-isolation", str(sources(Path("source")))]
            quick = ["--quick"] if module.startswith("benchmarks.") else []
            return [sys.executable, "-m", module, *rest, *ARGUMENTS.get(module, quick)]
        case ["make", target]:  # by the environment that runs the tests
            places = [f"BIN={BIN}", f"DEMO={Path.cwd() / 'runs/demo'}"]
            return ["make", "-C", str(ROOT), "-o", "venv", target, *places]
        case ["mkdocs", *_]:
            return [*found, "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", "site"]
        case ["e2egrec", *rest]:  # whose answer depends on the shell that it is run from
            return [
                "bash",
                "-c",
                f"{shlex.join([sys.executable, '-m', 'tf_e2egrec.cli.main', *rest])}; exit $?",
            ]
        case ["jupytext", *_]:
            return ["bash", "-c", " ".join(found)]
    return found


def sources(folder: Path) -> Path:
    """A copy of what a wheel is built from: the build writes beside it."""
    folder.mkdir()
    for name in ("tf_e2egrec", "beam_pipelines", "serving"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def site_is_served() -> bool:
    """Start `mkdocs serve`, ask once, stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = str(ROOT / "mkdocs.yml")
    command = [sys.executable, "-m", "mkdocs", "serve", "--config-file", config, "--dev-addr", address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:
        try:
            for _ in range(120):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/") as answer:
                    return answer.status == 200
                if serving.poll() is not None:
                    return False
                time.sleep(1)
            return False
        finally:
            serving.terminate()


def test_every_command_is_run_or_has_a_reason() -> None:
    """A command that neither the rules nor the tables know fails in its document's test; this is of the tables."""
    texts = {one.text for one in COMMANDS}
    assert set(NOT_RUN) <= texts, "no document has these any more"
    assert not [start for start in NOT_RUN_FAMILIES if not any(text.startswith(start) for text in texts)]
    for page, test in RUN_ELSEWHERE.items():
        assert any(one.document == page and one.in_block for one in COMMANDS), page
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")
    names = {
        " ".join(one.text.split()[1 : 3 if "rollout" in one.text else 2])
        for one in COMMANDS
        if one.text.startswith("e2egrec ")
    }
    assert set(SIZES) <= names


def test_steps_of_ci_are_steps_of_ci() -> None:
    steps = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for text, why in NOT_RUN.items():
        if "is a step of .ci/run" in why and text != "make venv":  # which every step needs
            assert f"\n{text}\n" in steps
