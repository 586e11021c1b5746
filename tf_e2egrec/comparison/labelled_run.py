"""`LabelledRun`: a run directory in which a variant's model stands under another name."""

import dataclasses
from pathlib import Path

from tf_e2egrec.stages.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class LabelledRun(RunDirectory):
    """A run directory where one variant is trained with settings of its own, beside the variant itself.

    Attributes:
      root: the directory.
      label: the folder of the models that are trained here.
    """

    label: str

    def model(self, name: str, seed: int) -> Path:
        """Directory of the trained model, whatever variant it is."""
        return self.models / self.label / f"seed-{seed}"
