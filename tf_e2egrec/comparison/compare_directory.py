"""`CompareDirectory`: where `e2egrec compare` keeps what."""

import dataclasses
from pathlib import Path

from tf_e2egrec.stages.compared_model import file_name
from tf_e2egrec.stages.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class CompareDirectory:
    """The layout of DIR: a run directory per graph, predictions and costs per model and seed, the report.

    A model is the text of a `ComparedModel`; what a file name cannot hold is written as in an URL.

    Attributes:
      root: the directory.
    """

    root: Path

    def run(self, graph: str) -> RunDirectory:
        """The run directory of one graph (see `graph_of`)."""
        return RunDirectory(self.root / "graphs" / graph)

    def description_file(self, graph: str) -> Path:
        """The description of one graph, before its stages have run."""
        return self.root / "descriptions" / f"{graph}.yaml"

    def trained(self, graph: str, model: str, seed: int) -> Path:
        """Artefact with the trained model of one seed."""
        return self.run(graph).model(file_name(model), seed)

    def predictions(self, model: str, seed: int) -> Path:
        """Artefact with the test predictions of one model of one seed."""
        return self.root / "predictions" / file_name(model) / f"seed-{seed}"

    def validation(self, model: str, seed: int) -> Path:
        """Artefact with the validation predictions of one model of one seed, where the model was tuned."""
        return self.root / "tuning" / file_name(model) / f"seed-{seed}"

    def slices(self, graph: str) -> Path:
        """Artefact with what the test rows are sliced by."""
        return self.root / "slices" / graph

    def stay_baselines(self, graph: str) -> Path:
        """Artefact with what the stay baselines predict for the test rows."""
        return self.root / "stay-baselines" / graph

    def costs(self, model: str, seed: int) -> Path:
        """What the training of one model took, as JSON."""
        return self.root / "costs" / f"{file_name(model)}-seed-{seed}.json"

    def costs_of_all(self) -> list[Path]:
        """The costs of every run that has been trained."""
        return sorted((self.root / "costs").glob("*.json"))

    def log(self, model: str, seed: int) -> Path:
        """What the process that trained it printed."""
        return self.root / "logs" / f"{file_name(model)}-seed-{seed}.log"
