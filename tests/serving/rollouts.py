"""What tests of rollouts share: versions, a models.config, and development servers that serve from it."""

import functools
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.client.ranking_client import RankingClient
from serving.rollout.models_config import ModelsConfig
from serving.rollout.rollout import Rollout
from serving.running_server import RunningServer
from serving.server_command import start_server
from serving.warmup import WARMUP_FILE, WarmupRequest, write_warmup_requests
from tests.serving.conftest import NO_RETRIES, TinyModel
from tests.serving.servers import MODEL

WAIT = 20.0
X = np.array([1.0, 2.0], np.float32)


class ScoringModel(TinyModel):
    """`score` is `factor * x`, and not finite for a negative factor."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def score(self, x: Any) -> dict[str, Any]:
        return {"score": tf.sqrt(self.factor) * tf.sqrt(self.factor) * x, "reward": 0.0 * x}


@functools.cache
def saved(folder: Path, factor: float) -> Path:
    """A SavedModel with two warm-up records: of the signature whose scores are compared, and of one without a score."""
    path = folder / f"scoring-model-{factor:g}"
    model = ScoringModel(factor)
    tf.saved_model.save(model, str(path), {"serving_default": model.multiply, "score": model.score})
    requests = [WarmupRequest("score", {"x": X}), WarmupRequest("serving_default", {"x": X})]
    write_warmup_requests(path / WARMUP_FILE, MODEL, requests)
    return path


class Scene:
    """Version 1 is stable; versions 2 and 3 are there. Version v multiplies by v."""

    def __init__(self, folder: Path, kind: str = "development") -> None:
        self.folder = folder
        self.kind = kind
        self.base_path = folder / "models"
        self.base_path.mkdir()
        for version in (1, 2, 3):
            self.export(version, float(version))
        self.config = folder / "models.config"
        self.config.write_text(
            f"""# Which versions are loaded.
model_config_list {{ config {{
  name: "{MODEL}" base_path: "{self.base_path}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }}
  version_labels {{ key: "stable" value: 1 }}
}} }}
"""
        )
        self._stack = ExitStack()
        self.server = self.start()
        self.target = self.server.target
        self.rollout = self.open(self.target)

    def export(self, version: int, factor: float) -> Path:
        staging = self.folder / f"staging-{version}"
        shutil.copytree(saved(self.folder.parent, factor), staging)
        return staging.rename(self.base_path / str(version))

    def start(self, **options: Any) -> RunningServer:
        """One more server; from models.config unless told otherwise."""
        options = options or {"model_config_file": self.config}
        server = start_server(port=0, kind=self.kind, extra_arguments=[NO_RETRIES], **options)
        return self._stack.enter_context(server)

    def open(self, *targets: str, **options: Any) -> Rollout:
        return self._stack.enter_context(Rollout(self.config, targets, **{"wait_seconds": WAIT} | options))

    def state(self) -> tuple[tuple[int, ...], dict[str, int]]:
        """Versions and labels of models.config."""
        entry = ModelsConfig(self.config).model()
        return entry.versions, dict(entry.labels)

    def close(self) -> None:
        self._stack.close()


def answering(target: str, version: int | str) -> float:
    """The factor of the version that answers."""
    with RankingClient(target, MODEL) as client:
        return float(client.predict({"x": np.ones(1, np.float32)}, "serving_default", version)["factor"][0])


def loaded(target: str) -> set[int]:
    with RankingClient(target, MODEL) as client:
        return {status.version for status in client.model_status() if status.available}


def settled(target: str, expected: set[int]) -> bool:
    """Whether the server comes to have these versions in memory; it unloads in the background."""
    deadline = time.monotonic() + WAIT
    while loaded(target) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return loaded(target) == expected
