"""`PreviousModel`: the model of an earlier run that a new one starts from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.models.warm_start import warm_start
from tf_e2egrec.stages.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class PreviousModel:
    """A trained model of another run directory.

    Attributes:
      directory: where the model is.
      fingerprint: of its training; the new model depends on it.
    """

    directory: Path
    fingerprint: str

    @staticmethod
    def of(former: RunDirectory, run: RunDirectory, model: str, seed: int) -> "PreviousModel":
        """The model of this name and seed in an earlier run.

        Raises:
          E2EGRecError: it is not there, or the earlier run is the new one itself.
        """
        if former.root.resolve() == run.root.resolve():
            raise E2EGRecError(
                f"--warm-start names {former.root}, which is the run itself; name the run directory of an earlier day"
            )
        directory = former.model(model, seed)
        manifest = read_manifest(directory, "train", f"e2egrec train --out {former.root} --models {model}")
        return PreviousModel(directory, manifest.fingerprint)

    def hand_over(
        self, former: E2EGRec, network: E2EGRec, nodes: Mapping[str, NodeTable], graph: Path
    ) -> dict[str, Any]:
        """Give a fresh network what this one has learnt (`warm_start`).

        Args:
          former: this model, loaded.
          network: it is changed in place.
          nodes: features of `item` and `user`, by which new ids find others like themselves.
          graph: of the new run; new items start at the mean of their neighbours in its newest snapshot, if it is there.

        Returns:
          For the manifest: the earlier training's fingerprint, and by group how many ids were kept, new and forgotten.

        Raises:
          E2EGRecError: the models differ in more than their vocabularies.
        """
        snapshots = [
            int(path.name.removeprefix("snapshot=")) for path in (graph / "edges").glob("snapshot=*")
        ]
        neighbours = NeighbourTable.load(graph, max(snapshots)) if snapshots else None
        return {"fingerprint": self.fingerprint, **warm_start(network, former, nodes, neighbours)}
