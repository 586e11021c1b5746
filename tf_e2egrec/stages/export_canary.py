"""Tries an export in a fresh process before it is published."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export import canary

TOLERANCE = 1e-5
_PATIENCE_SECONDS = 900  # to import TensorFlow and load a model on a busy machine


class Call(NamedTuple):
    """A request, and what the Python model answers.

    Attributes:
      signature: its name.
      inputs, outputs: arrays by name.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def require_sound(directory: Path, calls: Sequence[Call], labels: Sequence[str]) -> dict[str, Any]:
    """Load a version as a server would, replay its warm-up records, and compare its answers.

    Args:
      directory: `.../<version>/` with the SavedModel.
      calls: what the answers are held against; to 1e-5, relative to values beyond 1.
      labels: names that no input may have.

    Returns:
      `difference` (the largest), `calls`, `warmup_records`.

    Raises:
      E2EGRecError: a check failed, or the process did not end.
    """
    plan = {
        "tolerance": TOLERANCE,
        "labels": list(labels),
        "xla_allowed": False,
        "calls": [
            {"signature": call.signature, "inputs": _encoded(call.inputs), "outputs": _encoded(call.outputs)}
            for call in calls
        ],
    }
    # On the CPU: a GPU may be busy with training, and rounds matrix products to TF32.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    file = directory.parent / "calls.json"
    try:
        file.write_text(json.dumps(plan), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-I", canary.__file__, str(directory), str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise E2EGRecError(
            f"the export was not published: trying it took longer than {_PATIENCE_SECONDS} s; try again"
        ) from None
    finally:
        file.unlink(missing_ok=True)
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        answer = {"error": f"the process that tried it ended with code {done.returncode} ({last})"}
    if "error" in answer:
        raise E2EGRecError(f"the export was not published: {answer['error']}")
    return dict(answer)


def _encoded(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {
        name: base64.b64encode(tf.make_tensor_proto(array).SerializeToString()).decode()
        for name, array in arrays.items()
    }
