"""A process with everything imported that forks a child per command: to kill one then costs no start of TensorFlow.

It reads one JSON object per line and answers each with one. The parent itself never runs an operation, which would start the threads
that a fork loses.
"""

import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

MODULES = (
    "tf_e2egrec",
    "tensorflow",
    "tensorflow_gnn",
    "tests.cli.job",
    "tests.faults.toy_training",
    "beam_pipelines.refresh",
    "serving.rollout.rollout",
    "serving.warmup",
    "tf_e2egrec.stages.train",
    "tf_e2egrec.stages.evaluate",
    "tf_e2egrec.stages.export",
    "tf_e2egrec.cli.rollout_command",
)


def main() -> None:
    """Import, say so, and serve requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    for name in MODULES:
        importlib.import_module(name)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(_fork(json.loads(line))), file=answers, flush=True)


def _fork(request: dict[str, Any]) -> dict[str, Any]:
    """Run a request in a child; its answer, and how it ended (negative: by that signal)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()  # with what it starts, it can be killed as one
        _run(request, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        content = stream.read()
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    answer = json.loads(content) if content else {}
    return {"exit": os.waitstatus_to_exitcode(status), "cpu": seconds, **answer}


def _run(request: dict[str, Any], writing: int) -> None:
    """The child: never returns."""
    from tests.faults.file_changes import FileChanges, report_gfile, report_reloads

    answer: dict[str, Any] = {}
    try:
        if request.get("most_bytes"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["most_bytes"],) * 2)
            if request.get("by_signal"):  # Python ignores it, and C++ code with it
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if request.get("eagerly"):
            import tensorflow as tf

            tf.config.run_functions_eagerly(True)
        report_gfile()
        report_reloads(Path(request["below"]))
        module, _, name = request["call"].partition(":")
        for target, value in request.get("set", {}).items():
            owner, _, attribute = target.rpartition(".")
            setattr(importlib.import_module(owner), attribute, value)
        changes = FileChanges(request["below"], request.get("kind", "count"), request.get("at", 0))
        done = getattr(importlib.import_module(module), name)(*request["arguments"])
        answer = {
            "code": getattr(done, "code", 0),
            "out": getattr(done, "out", ""),
            "err": getattr(done, "err", ""),
            "changes": changes.seen,
        }
    except BaseException:
        answer = {"code": 1, "out": "", "err": traceback.format_exc(), "changes": []}
    finally:
        with os.fdopen(writing, "w") as stream:
            json.dump(answer, stream)
        os._exit(0)


if __name__ == "__main__":
    main()
