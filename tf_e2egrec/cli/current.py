"""Whether RUN_DIR holds what this description and these logs make."""

from collections.abc import Callable

from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError, read_manifest, require_match
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory

Require = Callable[[DatasetDescription, RunDirectory], Manifest]


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


def current(require: Require, description: DatasetDescription, run: RunDirectory) -> Manifest | None:
    """The manifest that `require` returns, or None where the stage has to run."""
    try:
        return require(description, run)
    except StaleArtefactError:
        return None


def require_same_data(description: DatasetDescription, run: RunDirectory) -> None:
    """Refuse to replace the graph of a run that was made from other input files: RUN_DIR is probably the wrong one.

    A changed description is no reason to refuse: then the stages are made again. Nor is a graph that nothing was made of.

    Raises:
      E2EGRecError: RUN_DIR/graph was made from other input files than there are now.
    """
    from beam_pipelines.transforms.file_patterns import input_fingerprint

    try:
        manifest = read_manifest(run.graph, "swing", "e2egrec swing")
        read_manifest(run.subgraphs, "subgraphs", "e2egrec subgraphs")
    except StaleArtefactError:
        return
    if manifest.inputs != input_fingerprint(description):
        raise E2EGRecError(
            f"{run.graph} was made from other data than the files of `{description.name}` are now; choose another --out, "
            "let `e2egrec refresh` add new rows, or replace it with --force"
        )
