"""`RunDirectory`: where each stage's artefact lives."""

import dataclasses
import hashlib
from pathlib import Path

from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.errors import E2EGRecError


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The layout of RUN_DIR (docs/design.md).

    Attributes:
      root: the directory.
    """

    root: Path

    @property
    def description_file(self) -> Path:
        """A copy of the description the run was made from."""
        return self.root / "dataset.yaml"

    @property
    def data_root_file(self) -> Path:
        """Where the data of that description were."""
        return self.root / "data_root.txt"

    @property
    def graph(self) -> Path:
        """Output of the swing stage."""
        return self.root / "graph"

    @property
    def subgraphs(self) -> Path:
        """Output of the subgraphs stage."""
        return self.root / "subgraphs"

    @property
    def models(self) -> Path:
        """Output of the train stage, by model and seed."""
        return self.root / "models"

    @property
    def evaluation(self) -> Path:
        """Output of the evaluate stage."""
        return self.root / "evaluation"

    @property
    def exports(self) -> Path:
        """Output of the export stage, by model."""
        return self.root / "export"

    def model(self, name: str, seed: int) -> Path:
        """Directory of one trained model."""
        return self.models / name / f"seed-{seed}"

    def trained_models(self) -> list[tuple[str, int, Path]]:
        """(name, seed, directory) of every finished model, in order."""
        found = []
        for manifest in sorted(self.models.glob("[!.]*/seed-[0-9]*/manifest.json")):
            directory = manifest.parent
            found.append((directory.parent.name, int(directory.name.removeprefix("seed-")), directory))
        return sorted(found)

    def keep_description(self, path: Path, data_root: str | None = None) -> None:
        """Keep a copy of the description file, of the one that the artefacts were made from, and where its data are.

        Args:
          path: the description file.
          data_root: where its relative paths start; what is kept of it stays when absent.
        """
        self._keep(self.description_file, path.read_text(encoding="utf-8"))
        if data_root is not None:
            self._keep(
                self.data_root_file, data_root if "://" in data_root else str(Path(data_root).resolve())
            )

    def kept_data_root(self) -> str | None:
        """Where the description's relative paths started when the run was made; None for a run that does not say.

        The data may have moved since. No stage depends on it: it is for those who look at a run.
        """
        try:
            return self.data_root_file.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _keep(self, file: Path, text: str) -> None:
        if file.exists() and text == file.read_text(encoding="utf-8", errors="replace"):
            return
        # Named by its content: what a killed command left is used up by the same command.
        beside = self.root / f".{file.stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{file.suffix}"
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)

    def description(self) -> DatasetDescription:
        """The description the run was made from.

        Raises:
          E2EGRecError: the directory is not a run.
        """
        if not self.description_file.exists():
            raise E2EGRecError(
                f"{self.root} is not a run directory (it holds no dataset.yaml); run `e2egrec swing` first"
            )
        return load_description(self.description_file)
