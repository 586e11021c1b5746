"""A small data set, the finished main job on it, and ways to call the command."""

import contextlib
import copy
import dataclasses
import functools
import io
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tf_e2egrec.cli import main as command
from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

CONFIG = ShortVideoConfig(users=300, videos=150, days=6, impressions=8_000)
TINY = {
    "model": {"dim": 8, "heads": 2, "tower_units": [8]},
    "training": {"models": ["R0", "R5"], "epochs": 1, "batch_size": 512, "gradnorm_warmup_steps": 2},
}


@dataclasses.dataclass(frozen=True)
class Done:
    """What a call of the command left."""

    code: int
    out: str
    err: str


def e2egrec(*arguments: object) -> Done:
    """Call the command in this process, as the installed script does."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, code = root.handlers[:], 0
    with (
        mock.patch.object(sys, "argv", ["e2egrec", *map(str, arguments)]),
        mock.patch.object(sys, "meta_path", sys.meta_path[:]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            command.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            root.handlers[:] = handlers
    return Done(code, out.getvalue(), err.getvalue())


def succeed(*arguments: object) -> Done:
    done = e2egrec(*arguments)
    assert done.code == 0, done.err
    return done


def refuse(*arguments: object, says: tuple[str, ...]) -> str:
    """Call the command with a mistake; it must answer in one sentence that holds every pattern."""
    done = e2egrec(*arguments)
    assert done.code == 2, done.err + done.out
    assert done.err.startswith("error: "), done.err
    assert done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err + done.out
    for pattern in says:
        assert re.search(pattern, done.err), f"{pattern!r} is not in {done.err!r}"
    return done.err


@functools.cache
def small_data(base: Path) -> Path:
    """Write the data set once per session; returns its description file."""
    path = write_short_video(CONFIG, base / "main-job-data")
    rewrite(path, lambda content: content.update(copy.deepcopy(TINY)))
    return path


@functools.cache
def finished_job(base: Path) -> tuple[Path, Done]:
    """Run the whole job once per session; returns RUN_DIR and what was printed."""
    out = base / "main-job-run"
    return out, succeed("run", small_data(base), "--out", out)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object], to: Path | None = None) -> Path:
    """Change a description file, or write the changed one elsewhere."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    target = to or path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return target


def read_logs(data: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted((data / "interactions").glob("*.parquet")))


def manifest(directory: Path) -> Manifest:
    return Manifest.model_validate_json((directory / "manifest.json").read_text(encoding="utf-8"))


def fingerprints(run: Path) -> dict[str, str]:
    """Fingerprint of every artefact of a run, by path."""
    return {
        str(path.parent.relative_to(run)): manifest(path.parent).fingerprint
        for path in sorted(run.rglob("manifest.json"))
    }
