"""`WarmProcess`: runs commands in children of a process that has everything imported, and lets faults strike them."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_ONE_THREAD = dict.fromkeys(
    (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)

# In the environment of every command, to be searched for in what it writes.
SECRETS = {
    name: f"do-not-write-{place}-2f8a6b"
    for place, name in enumerate(("AWS_SECRET_ACCESS_KEY", "DATABASE_PASSWORD", "API_TOKEN"))
}


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
      killed: by a signal.
      code: exit code of the command; None where it was killed.
      out, err: what it printed.
      changes: what it changed in the file system, in order.
      cpu: seconds of processor time.
    """

    killed: bool
    code: int | None
    out: str
    err: str
    changes: list[str]
    cpu: float


class WarmProcess:
    """Context manager around `tests/faults/warm_parent.py`."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm_parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=ROOT,
            env=os.environ | _ONE_THREAD | SECRETS | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert self._answer() == "ready"

    def command(self, *arguments: object, below: Path, **fault: Any) -> Ended:
        """Call `e2egrec` with arguments; `fault` as `FileChanges` and `warm_parent` take it."""
        return self.call("tests.cli.job:e2egrec", *map(str, arguments), below=below, **fault)

    def call(self, function: str, *arguments: object, below: Path, **fault: Any) -> Ended:
        """Call `module:function`, whose arguments are JSON."""
        request = {"call": function, "arguments": arguments, "below": str(below), **fault}
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer()
        is_killed = answer["exit"] < 0
        return Ended(
            is_killed,
            None if is_killed else answer["code"],
            answer.get("out", ""),
            answer.get("err", ""),
            answer.get("changes", []),
            answer["cpu"],
        )

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"the warm process ended with code {code}: {said}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
