"""`Chain`: the nightly chain on a few users, each stage with the run directory as it finds and as it leaves it."""

import copy
import dataclasses
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.job import TINY, rewrite
from tests.faults.warm_process import Ended, WarmProcess
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

CONFIG = ShortVideoConfig(users=50, videos=50, days=6, impressions=1_200)
MODEL, CHECKPOINT_STEPS = "R5", 2
OLDER = "older.txt"  # marks an artefact that a stage is to replace


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """A command of the chain.

    Attributes:
      name: of the command.
      targets: the artefacts it writes, relative to RUN_DIR.
      arguments: from (data of all days but the last, data of all days, RUN_DIR) to the command's arguments.
      options: how it is called, see `warm_parent`.
    """

    name: str
    targets: tuple[str, ...]
    arguments: Callable[[Path, Path, Path], tuple[object, ...]]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


_EAGERLY = {
    "eagerly": True,
    "set": {"tf_e2egrec.stages.train._CHECKPOINT_STEPS": CHECKPOINT_STEPS},
}  # half the time: nothing is traced
STAGES = (
    Stage("swing", ("graph",), lambda short, whole, run: (short, "--out", run)),
    Stage("subgraphs", ("subgraphs",), lambda short, whole, run: (short, "--out", run)),
    Stage("refresh", ("graph", "subgraphs"), lambda short, whole, run: (whole, "--out", run)),
    Stage(
        "train",
        (f"models/{MODEL}/seed-0",),
        lambda short, whole, run: (whole, "--out", run, "--models", MODEL),
        _EAGERLY,
    ),
    Stage("evaluate", ("evaluation",), lambda short, whole, run: (run,), _EAGERLY),
    Stage(
        "export", (f"export/{MODEL}/1",), lambda short, whole, run: (run, "--model", MODEL, "--version", 1)
    ),
)
BY_NAME = {stage.name: stage for stage in STAGES}


class Chain:
    """The stages' states, each made when it is first asked for."""

    def __init__(self, folder: Path, warm: WarmProcess) -> None:
        """Write the data.

        Args:
          folder: for everything.
          warm: where commands run.
        """
        self.folder, self._warm = folder, warm
        self.whole = write_short_video(CONFIG, folder / "whole")

        def change(content: dict[str, Any]) -> None:
            content.update(copy.deepcopy(TINY))
            content["training"].update(epochs=2, batch_size=128)

        rewrite(self.whole, change)
        self.short = Path(shutil.copytree(self.whole.parent, folder / "short")) / "dataset.yaml"
        max((folder / "short/interactions").glob("*.parquet")).unlink()

    def run(self, stage: Stage, run: Path, **fault: Any) -> Ended:
        """Call a stage's command for a run directory."""
        arguments = stage.arguments(self.short, self.whole, run)
        return self._warm.command(stage.name, *arguments, below=run, **stage.options, **fault)

    @functools.cache  # noqa: B019 - a chain lives as long as the tests
    def before(self, stage: Stage) -> Path:
        """RUN_DIR as the stage finds it; a target of a former night stands there."""
        place = STAGES.index(stage)
        made = self.folder / f"before-{stage.name}"
        if place:
            shutil.copytree(self._after(STAGES[place - 1])[0], made)
        else:
            made.mkdir()
        for target in stage.targets:
            if stage.name != "export" and not (made / target).exists():
                _older(self._after(stage)[0] / target, made / target)
        return made

    def after(self, stage: Stage) -> Path:
        """RUN_DIR as an undisturbed call leaves it."""
        return self._after(stage)[0]

    @functools.cache  # noqa: B019
    def changes(self, stage: Stage) -> list[str]:
        """What an undisturbed call changes, where it replaces a former night's target."""
        run = Path(shutil.copytree(self.before(stage), self.folder / f"counted-{stage.name}"))
        done = self.run(stage, run)
        assert done.code == 0, done.err
        shutil.rmtree(run)
        return done.changes

    @functools.cache  # noqa: B019
    def _after(self, stage: Stage) -> tuple[Path, Ended]:
        place = STAGES.index(stage)
        made = self.folder / f"after-{stage.name}"
        if place:
            shutil.copytree(self._after(STAGES[place - 1])[0], made)
        else:
            made.mkdir()
        done = self.run(stage, made)
        assert done.code == 0, done.err
        return made, done


def _older(newer: Path, directory: Path) -> None:
    """An artefact that any stage takes for outdated."""
    shutil.copytree(newer, directory)
    (directory / OLDER).touch()
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "0" * 16}))
