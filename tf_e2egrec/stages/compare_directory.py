"""`CompareDirectory`: where `e2egrec compare` keeps what."""

import dataclasses
from pathlib import Path

from tf_e2egrec.dataset.description.graph_spec import EdgeKind
from tf_e2egrec.stages.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class CompareDirectory:
    """The layout of DIR: a run directory per graph, predictions and costs per model and seed, the report.

    Attributes:
      root: the directory.
    """

    root: Path

    def run(self, edges: EdgeKind) -> RunDirectory:
        """The run directory of one graph."""
        return RunDirectory(self.root / "graphs" / edges)

    def description_file(self, edges: EdgeKind) -> Path:
        """The description of one graph, before its stages have run."""
        return self.root / "descriptions" / f"{edges}.yaml"

    def predictions(self, model: str, seed: int) -> Path:
        """Artefact with the predictions of one model of one seed."""
        return self.root / "predictions" / model / f"seed-{seed}"

    def costs(self, model: str, seed: int) -> Path:
        """What the training of one model took, as JSON."""
        return self.root / "costs" / f"{model}-seed-{seed}.json"

    def log(self, model: str, seed: int) -> Path:
        """What the process that trained it printed."""
        return self.root / "logs" / f"{model}-seed-{seed}.log"
