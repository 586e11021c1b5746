"""Whether RUN_DIR holds what this description and these logs make."""

from tf_e2egrec.dataset.artefact import Manifest, read_manifest, require_match
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.stages.run_directory import RunDirectory


def require_current_graph(description: DatasetDescription, run: RunDirectory) -> Manifest:
    """The manifest of RUN_DIR/graph.

    Raises:
      E2EGRecError: it is missing, or was made by another description or from other data.
    """
    from beam_pipelines.swing import swing_fingerprint

    made_by = "e2egrec swing"
    manifest = read_manifest(run.graph, "swing", made_by)
    require_match(manifest, swing_fingerprint(description), run.graph, made_by)
    return manifest


def require_current_subgraphs(description: DatasetDescription, run: RunDirectory) -> Manifest:
    """The manifest of RUN_DIR/subgraphs.

    Raises:
      E2EGRecError: as `require_current_graph`.
    """
    from beam_pipelines.subgraphs import subgraphs_fingerprint

    made_by = "e2egrec subgraphs"
    manifest = read_manifest(run.subgraphs, "subgraphs", made_by)
    require_match(manifest, subgraphs_fingerprint(description), run.subgraphs, made_by)
    return manifest
