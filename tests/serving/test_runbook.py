"""Every command of docs/runbook.md, in its order, against a development server."""

import contextlib
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.development_server.development_server import DevelopmentServer
from serving.rollout.models_config import ModelsConfig
from serving.warmup import WARMUP_FILE, write_warmup
from tests.cli.job import e2egrec
from tests.serving.conftest import TinyModel

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "serving/model_server/grafana-dashboard.json").read_text(encoding="utf-8"))
TEMPLATE = ROOT / "serving/model_server/models.config"
BLOCK = re.compile(r"^( *)```(\w+)( fails)?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

# A stand-in for the installed script: the arguments travel to this process, which has TensorFlow loaded already.
SHIM = """#!{python}
import json, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as connection, connection.makefile("rw") as file:
    print(json.dumps(sys.argv[1:]), file=file, flush=True)
    done = json.loads(file.readline())
sys.stdout.write(done["out"])
sys.stderr.write(done["err"])
sys.exit(done["code"])
"""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        done = e2egrec(*json.loads(self.rfile.readline()))
        self.wfile.write((json.dumps({"code": done.code, "out": done.out, "err": done.err}) + "\n").encode())


@contextlib.contextmanager
def command_on_path(folder: Path) -> Iterator[dict[str, str]]:
    """An environment in which `e2egrec` is found, and runs in this process."""
    with socketserver.TCPServer(("127.0.0.1", 0), _Handler) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        shim = folder / "e2egrec"
        shim.write_text(SHIM.format(python=sys.executable, port=answering.server_address[1]))
        shim.chmod(0o755)
        yield {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}
        answering.shutdown()


def save(directory: Path, factor: float) -> None:
    """A version with the signature `rank`, and a warm-up record of it."""
    model = TinyModel(factor)
    rank = model.rank_function(tf.int64, None)
    tf.saved_model.save(model, str(directory), {"serving_default": model.multiply, "rank": rank})
    batch: dict[str, Any] = {
        "user_id": np.array([0]),
        "recent": np.array([[5, 3]]),
        "num_recent": np.array([2], np.int32),
        "candidates": np.arange(10)[np.newaxis],
        "num_candidates": np.array([10], np.int32),
        "hour": np.zeros(1, np.float32),
        "device": np.array([b""], object),
        "channel": np.array([0]),
    }
    write_warmup(directory / WARMUP_FILE, "ranker", "rank", [batch])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runbook calls $MODELS, when a second version has just been exported."""
    base = tmp_path_factory.mktemp("srv") / "models"
    for version in (1, 2):
        save(base / "ranker" / str(version), 1.0 + 0.1 * version)
    text = TEMPLATE.read_text(encoding="utf-8")
    assert '"/models/ranker"' in text
    (base / "models.config").write_text(
        text.replace("/models/ranker", str(base / "ranker")), encoding="utf-8"
    )
    return base


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[DevelopmentServer]:
    with DevelopmentServer(model_config_file=models / "models.config", port=0, poll_seconds=0.2) as running:
        yield running


def labels(models: Path) -> dict[str, int]:
    return dict(ModelsConfig(models / "models.config").model().labels)


def before(section: str, models: Path) -> None:
    """What has happened when a reader of this section comes to it."""
    ranker = models / "ranker"
    if section == "Rollback":
        shutil.copytree(ranker / "2", ranker / "3")
    if section == "A version is broken":
        shutil.copytree(ranker / "2", ranker / "4")
        (ranker / "4/variables/variables.data-00000-of-00001").write_bytes(b"")
    if section == "An empty or half-written directory":
        (ranker / "5").mkdir()


AFTER = {
    "Canary": {"stable": 1, "canary": 2},
    "Promote": {"stable": 2, "canary": 2},
    "Rollback": {"stable": 1, "canary": 1},
    "A version is broken": {"stable": 1, "canary": 1},
    "An empty or half-written directory": {"stable": 1, "canary": 6},
    "Out of memory": {"stable": 1, "canary": 1},
}
SAYS = {
    "What is served": "AVAILABLE (stable)",
    "Canary": "scores differ from the stable version's by",
    "Promote": "`rollback` would make version 1 stable",
    "A version is broken": "version 4 of model ranker failed to load",
    "An empty or half-written directory": "5 is not a whole version (it has no saved_model.pb)",
    "A rollout was interrupted": '"agrees": true',
}


def sections() -> Iterator[tuple[str, str]]:
    """(title, text) of each section of the second level."""
    for part in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        yield title, text


def test_every_command_does_what_the_runbook_says(
    models: Path, server: DevelopmentServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = next(text for _, kind, _, text in BLOCK.findall(RUNBOOK) if kind == "bash")
    assert setup.count("/srv/models") == setup.count("127.0.0.1:8500") == 1
    setup = setup.replace("/srv/models", str(models)).replace("127.0.0.1:8500", server.target)
    assert {kind for _, kind, _, _ in BLOCK.findall(RUNBOOK)} == {"bash", "python"}
    seen = 0
    with command_on_path(tmp_path) as environment:
        for title, section in sections():
            before(title, models)
            said = ""
            for _, kind, fails, text in BLOCK.findall(section):
                code = textwrap.dedent(text)
                if kind == "python":
                    exec(compile(code.replace("127.0.0.1:8500", server.target), title, "exec"), {})
                    assert capsys.readouterr().out.startswith("2 [9 8 7] ")
                    continue
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", setup + code],
                    capture_output=True,
                    text=True,
                    check=False,
                    env=environment,
                )
                assert done.returncode == (2 if fails else 0), f"{title}: {code}{done.stdout}{done.stderr}"
                said += done.stdout + done.stderr
                seen += code.count("e2egrec ")
            assert SAYS.get(title, "") in said, f"{title}: {said}"
            assert labels(models) == AFTER.get(title, labels(models)), title
    assert (
        seen
        == RUNBOOK.count("e2egrec rollout ") - len(re.findall(r"`e2egrec rollout [^`\n]*`", RUNBOOK))
        > 10
    )
    assert sorted(int(path.name) for path in (models / "ranker").iterdir()) == [1, 2, 3, 6]
    assert {*AFTER, *SAYS} <= {title for title, _ in sections()}


def test_panels_and_files_are_called_what_they_are_called() -> None:
    titles = {panel["title"] for panel in DASHBOARD["panels"] if panel["type"] != "row"}
    named = set(re.findall(r"\*\*(.+?)\*\*", RUNBOOK))
    assert named <= titles
    assert len(named) >= 5
    for name in re.findall(r"`([\w-]+\.(?:json|txt|yaml))`", RUNBOOK):
        assert (ROOT / "serving/model_server" / name).is_file() or name == "models.config.history.json"
